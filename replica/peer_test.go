package replica

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey/latchkey/storage"
)

func TestCourseFor(t *testing.T) {
	hub, disk := at(3, 7, 'a'), errors.New("the disk is broken")
	for name, row := range map[string]struct {
		at    storage.Position
		whole bool
		why   error
		want  Course
	}{
		"in the log":                      {at: at(3, 5, 'b'), want: Entries},
		"where the hub is":                {at: hub, want: Entries},
		"it wants all":                    {at: at(3, 5, 'b'), whole: true, want: Snapshot},
		"it wants all, and is ahead":      {at: at(4, 1, 'b'), whole: true, why: storage.ErrDiverged, want: Behind},
		"it wants all, and has nothing":   {whole: true, why: storage.ErrTrimmed, want: Snapshot},
		"it wants all, from elsewhere":    {at: at(3, 5, 'b'), whole: true, why: storage.ErrDiverged, want: Other},
		"another history of this epoch":   {at: at(3, 5, 'b'), why: storage.ErrDiverged, want: Other},
		"trimmed":                         {at: at(3, 2, 'b'), why: storage.ErrTrimmed, want: Snapshot},
		"another history":                 {at: at(2, 9, 'b'), why: storage.ErrDiverged, want: Snapshot},
		"other contents":                  {at: at(3, 7, 'b'), why: storage.ErrDiverged, want: Other},
		"ahead by revisions":              {at: at(3, 8, 'b'), why: storage.ErrDiverged, want: Behind},
		"ahead by an epoch":               {at: at(4, 1, 'b'), why: storage.ErrDiverged, want: Behind},
		"ahead, whatever the log says":    {at: at(3, 8, 'b'), why: storage.ErrTrimmed, want: Behind},
		"nothing yet":                     {why: storage.ErrTrimmed, want: Snapshot},
		"nothing yet, and the log has it": {want: Snapshot},
		"the store can't be read":         {at: at(3, 5, 'b'), why: disk, want: Undecided},
	} {
		if got := CourseFor(hub, row.at, row.whole, row.why); got != row.want {
			t.Errorf("%s: course %d, want %d", name, got, row.want)
		}
	}
}

// A lease of ten seconds is counted ten milliseconds longer.
func TestStanding(t *testing.T) {
	const (
		limit   = 10 * time.Second
		counted = limit + 10*time.Millisecond
		asked   = time.Minute
	)
	write, later := at(3, 7, 'a'), at(3, 8, 'b')
	knows := func(applied, told storage.Position) Peer {
		return Peer{Applied: applied, Limit: limit, Asked: asked, Told: told, Leased: true}
	}
	before := at(3, 6, 'c')
	for name, row := range map[string]struct {
		Peer
		written, now Instant
		want         Standing
	}{
		"it has it":                           {Peer: knows(write, write), now: asked, want: Applied},
		"it has more":                         {Peer: knows(later, later), now: asked, want: Applied},
		"it has a newer epoch":                {Peer: knows(at(4, 1, 'd'), later), now: asked, want: Applied},
		"it has it, just before its end":      {Peer: knows(write, write), now: asked + counted - 1, want: Applied},
		"it has it, at its end":               {Peer: knows(write, write), now: asked + counted, want: Gone},
		"it has it, without limit":            {Peer: Peer{Applied: write, Leased: true}, now: 1e6 * time.Hour, want: Applied},
		"it has less, at its end":             {Peer: knows(before, before), written: asked, now: asked + counted, want: Missing},
		"it has less, past its end":           {Peer: knows(before, before), written: asked, now: asked + counted + 1, want: Gone},
		"it has less, without limit":          {Peer: Peer{Applied: before, Leased: true}, now: 1e6 * time.Hour, want: Missing},
		"never asked":                         {Peer: Peer{Applied: before, Limit: limit}, now: asked, want: Gone},
		"it has it, told of less, at its end": {Peer: knows(write, before), written: asked + limit, now: asked + counted, want: Gone},
		"never asked, without limit":          {Peer: Peer{Applied: before}, now: asked, want: Gone},
		"written before it asked, at the end": {Peer: knows(before, write), written: asked - limit, now: asked + counted - limit, want: Missing},
		"written before it asked, past that":  {Peer: knows(before, write), written: asked - limit, now: asked + counted - limit + 1, want: Gone},
		"told more, past that":                {Peer: knows(before, later), written: asked - limit, now: asked + counted - limit + 1, want: Gone},
		"not told, though written before":     {Peer: knows(before, before), written: asked - limit, now: asked + counted, want: Missing},
		"written after it asked, and told":    {Peer: knows(before, write), written: asked + limit, now: asked + counted + 1, want: Gone},
	} {
		if got := row.Standing(write, row.written, row.now); got != row.want {
			t.Errorf("%s: standing %d, want %d", name, got, row.want)
		}
	}
}

func TestEnd(t *testing.T) {
	p := Peer{Limit: 10 * time.Second}
	if end, never := p.Lease(); end != 0 || never {
		t.Errorf("never asked: %v, %v", end, never)
	}
	p.Question(time.Minute, at(3, 7, 'a'))
	if end, never := p.Lease(); end != time.Minute+10*time.Second+10*time.Millisecond || never {
		t.Errorf("asked: %v, %v", end, never)
	}
	p.Limit = 0
	if end, never := p.Lease(); end != 0 || !never {
		t.Errorf("without limit: %v, %v", end, never)
	}
}

// A Hello begins anew what was acknowledged, and lengthens what is known of the lease, but never shortens it.
func TestHello(t *testing.T) {
	here, told := at(3, 7, 'a'), at(3, 6, 'b')
	known := Peer{Applied: told, Limit: 5 * time.Second, Asked: time.Minute, Told: told, Leased: true}
	for name, row := range map[string]struct {
		Peer
		course Course
		asked  Instant
		leased bool
		want   Peer
	}{
		"a new one without a lease":  {course: Snapshot, asked: time.Hour, want: Peer{Limit: time.Second}},
		"a new one with a lease":     {course: Snapshot, asked: time.Hour, leased: true, want: Peer{Limit: time.Second, Leased: true, Asked: time.Hour}},
		"with a lease from long ago": {course: Snapshot, asked: -time.Hour, leased: true, want: Peer{Limit: time.Second, Leased: true, Asked: -time.Hour}},
		"in the log":                 {course: Entries, want: Peer{Limit: time.Second, Applied: here}},
		"ahead":                      {course: Behind, want: Peer{Limit: time.Second}},
		"known, with its lease":      {Peer: known, course: Snapshot, asked: time.Minute, leased: true, want: Peer{Limit: time.Second, Leased: true, Asked: time.Minute, Told: told}},
		"known, with a later one":    {Peer: known, course: Snapshot, asked: time.Minute + 1, leased: true, want: Peer{Limit: time.Second, Leased: true, Asked: time.Minute + 1}},
		"known, and none":            {Peer: known, course: Snapshot, asked: time.Hour, want: Peer{Limit: time.Second, Leased: true, Asked: time.Minute, Told: told}},
	} {
		p := row.Peer
		if p.Hello(time.Second, here, row.course, row.asked, row.leased); p != row.want {
			t.Errorf("%s: %+v, want %+v", name, p, row.want)
		}
	}
}
