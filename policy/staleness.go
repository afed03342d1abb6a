package policy

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
)

// maxStaleness is the longest that a key type may say: who means without limit
// leaves it out.
const maxStaleness = 3650 * 24 * time.Hour

// staleness reads how long a replica may answer for a type: 0 where nothing is
// said, and never because somebody wrote a 0, which could be meant as either
// of two things.
func staleness(place at, d *durationpb.Duration) time.Duration {
	if d == nil {
		return 0
	}
	if err := d.CheckValid(); err != nil || d.AsDuration() <= 0 || d.AsDuration() > maxStaleness {
		place.note("write a duration such as 30s, 5m or 1d, or leave it out for no limit of its own", "how long a replica may answer without news can't be zero, negative or beyond 3650 days")
		return 0
	}
	return d.AsDuration()
}

// LongestStaleness returns how old the knowledge of a replica may be until
// keys of no type may be answered any more, where the replica itself may
// answer for limit: the stricter of limit and of what the most lenient type of
// all policies says. 0 stands for without limit, in both directions.
func (ps *Policies) LongestStaleness(limit time.Duration) time.Duration {
	if limit == 0 || ps.staleness != 0 && ps.staleness < limit {
		return ps.staleness
	}
	return limit
}

// mostLenient returns the longest MaxStaleness of any key type; 0 where one
// has none.
func mostLenient(all []*Policy) time.Duration {
	var longest time.Duration
	for _, p := range all {
		for _, t := range p.types {
			if t.MaxStaleness == 0 {
				return 0
			}
			longest = max(longest, t.MaxStaleness)
		}
	}
	return longest
}

// ShortestStaleness returns the shortest time that any key type says; 0 where none says anything.
func (ps *Policies) ShortestStaleness() time.Duration { return ps.strictest }

// strictest returns the shortest MaxStaleness of any key type; 0 where none has one.
func strictest(all []*Policy) time.Duration {
	var shortest time.Duration
	for _, p := range all {
		for _, t := range p.types {
			if t.MaxStaleness != 0 && (shortest == 0 || t.MaxStaleness < shortest) {
				shortest = t.MaxStaleness
			}
		}
	}
	return shortest
}
