package authz

import (
	"math"
	"time"
)

// Lease is what a replica knows of how current it is. It is immutable. Without
// one, knowledge is the process's own and always current.
//
// How old knowledge is goes by the monotonic clock alone: who sets the wall
// clock back doesn't make it fresh, and who sets it forward doesn't end it.
type Lease struct {
	Contact time.Time     // when it last was proven to be current, with Go's monotonic reading; zero: never
	Limit   time.Duration // how long it may answer from then on; 0: without limit
	Hub     time.Time     // the hub's clock at Heard, without a monotonic reading
	Heard   time.Time     // when that was, with the monotonic reading; zero: never
}

// never is the age of what was never proven to be current.
const never = time.Duration(math.MaxInt64)

// Age returns how long ago it was proven to be current; the longest duration
// that there is where it never was. A nil Lease is of no age.
func (l *Lease) Age(now time.Time) time.Duration {
	switch {
	case l == nil:
		return 0
	case l.Contact.IsZero():
		return never
	}
	return max(0, now.Sub(l.Contact)) // proven while the question was asked
}

// Stale reports whether it is older than limit, or was never proven to be
// current, so that nothing may be answered to which the limit applies. Where
// the limit is 0, knowledge of any age will do.
func (l *Lease) Stale(now time.Time, limit time.Duration) bool {
	return stale(l.Age(now), limit)
}

func stale(age, limit time.Duration) bool {
	return limit > 0 && (age > limit || age == never)
}

// clock returns the latest of what the clock says, of when the revision was
// written, and of the hub's clock as it goes on since it was heard: a clock
// behind any of them would revive what has expired.
func (v *View) clock(now time.Time) time.Time {
	latest := now
	if latest.Before(v.Latest) {
		latest = v.Latest
	}
	if l := v.Lease; l != nil && !l.Heard.IsZero() {
		if hub := l.Hub.Add(now.Sub(l.Heard)); latest.Before(hub) {
			latest = hub
		}
	}
	return latest
}
