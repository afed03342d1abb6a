package admin

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/policy"
)

// longestLife is the longest time that can be counted from now, a hundred
// years: the same as on the command line, and well within what a duration holds.
const longestLife = 36500 * 24 * time.Hour

// expiry reads when a key shall end: at a time, or after a while from now. The
// zero time is never.
func (w World) expiry(at *timestamppb.Timestamp, in *durationpb.Duration) (time.Time, error) {
	switch {
	case at != nil && in != nil:
		return time.Time{}, invalid("expires_at, expires_in: both are given: give one")
	case at != nil:
		if at.CheckValid() != nil {
			return time.Time{}, invalid("expires_at: not a time from the year 1 to 9999: write 2030-01-31T12:00:00Z")
		}
		if !at.AsTime().After(w.Now) {
			return time.Time{}, invalid("expires_at: %s is past: give a later time", at.AsTime().Format(time.RFC3339))
		}
		return at.AsTime(), nil
	case in != nil:
		if in.CheckValid() != nil || in.AsDuration() <= 0 {
			return time.Time{}, invalid("expires_in: it must be longer than nothing: give a duration such as 90d")
		}
		if in.GetSeconds() > int64(longestLife/time.Second) {
			return time.Time{}, invalid("expires_in: it can't be longer than %s: give a shorter time, or none for a key that doesn't expire", span(longestLife))
		}
		return w.Now.Add(in.AsDuration()).UTC(), nil
	}
	return time.Time{}, nil
}

// lifetime checks the longest life of a type, from creation on.
func (w World) lifetime(t *policy.KeyType, created, expires time.Time) error {
	switch {
	case t.LongestLife == nil:
		return nil
	case expires.IsZero():
		return invalid("expires: keys of the type %s live for %s at most: give an expiry", t.Name, span(*t.LongestLife))
	case expires.Sub(created) > *t.LongestLife:
		return invalid("expires: keys of the type %s live for %s at most, until %s: give an earlier expiry",
			t.Name, span(*t.LongestLife), created.Add(*t.LongestLife).UTC().Format(time.RFC3339))
	}
	return nil
}

// grace reads how long a replaced secret stays valid.
func grace(t *policy.KeyType, d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if d.CheckValid() != nil || d.AsDuration() < 0 {
		return 0, invalid("grace: it can't be negative or beyond 292 years: give a duration such as 24h, or 0s")
	}
	g := d.AsDuration()
	if t.LongestGrace == nil || g <= *t.LongestGrace {
		return g, nil
	}
	if *t.LongestGrace == 0 {
		return 0, invalid("grace: rotating a key of the type %s ends its old secret at once: leave the grace out", t.Name)
	}
	return 0, invalid("grace: %s is longer than the %s that the type %s allows: give at most that", span(g), span(*t.LongestGrace), t.Name)
}

// span writes a duration in the largest unit that has no remainder.
func span(d time.Duration) string {
	units := []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	if i := slices.IndexFunc(units, func(u struct {
		name string
		unit time.Duration
	},
	) bool {
		return d%u.unit == 0 && d != 0
	}); i >= 0 {
		return fmt.Sprintf("%d%s", d/units[i].unit, units[i].name)
	}
	return d.String()
}
