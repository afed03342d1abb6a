package replica

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey/latchkey/storage"
)

// at is a position; its digest follows from a letter.
func at(epoch, revision uint64, letter byte) storage.Position {
	return storage.Position{Epoch: epoch, Revision: revision, Digest: storage.Digest{letter}}
}

// followingAt is a replica at a position, in a session that the hub has welcomed.
func followingAt(p storage.Position) State {
	return State{At: p, Floor: p, session: session{phase: following, limit: 10 * time.Second}}
}

func TestWelcomed(t *testing.T) {
	here := at(3, 7, 'a')
	for name, row := range map[string]struct {
		hub    storage.Position
		course Course
		older  bool // AcceptOlder
		phase  phase
		want   error
	}{
		"here":                          {hub: here, course: Entries, phase: greeted},
		"further":                       {hub: at(3, 8, 'b'), course: Entries, phase: greeted},
		"a newer epoch, fewer writes":   {hub: at(4, 2, 'b'), course: Snapshot, phase: greeted},
		"fewer writes":                  {hub: at(3, 6, 'a'), course: Snapshot, phase: greeted, want: ErrOlder},
		"an older epoch, more writes":   {hub: at(2, 9, 'a'), course: Snapshot, phase: greeted, want: ErrOlder},
		"other contents":                {hub: at(3, 7, 'b'), course: Snapshot, phase: greeted, want: ErrOther},
		"fewer writes, accepted":        {hub: at(3, 6, 'a'), course: Snapshot, older: true, phase: greeted},
		"other contents, accepted":      {hub: at(3, 7, 'b'), course: Snapshot, older: true, phase: greeted},
		"the hub knows that it's older": {hub: here, course: Behind, phase: greeted, want: ErrOlder},
		"the hub knows another history": {hub: here, course: Other, phase: greeted, want: ErrOther},
		"no course":                     {hub: here, course: Undecided, phase: greeted, want: ErrOrder},
		"a course of the future":        {hub: here, course: Other + 1, phase: greeted, want: ErrOrder},
		"before a Hello":                {hub: here, course: Entries, phase: closed, want: ErrOrder},
		"twice":                         {hub: here, course: Entries, phase: following, want: ErrOrder},
		"amid a snapshot":               {hub: here, course: Entries, phase: fetching, want: ErrOrder},
	} {
		t.Run(name, func(t *testing.T) {
			s := State{At: here, Floor: here, AcceptOlder: row.older, session: session{phase: row.phase}}
			if err := s.Welcomed(row.hub, row.course); !errors.Is(err, row.want) {
				t.Fatalf("got %v, want %v", err, row.want)
			}
			if want := row.want == nil || row.phase >= following; s.Follows() != want {
				t.Errorf("Follows is %v, want %v", s.Follows(), want)
			}
		})
	}
}

// What a hub is held against is the furthest that the store ever was, not where it is since its file was put back.
func TestFloorCounts(t *testing.T) {
	s := State{At: at(3, 2, 'a'), Floor: at(3, 7, 'b')}
	s.Begin(0)
	if err := s.Welcomed(at(3, 5, 'c'), Entries); !errors.Is(err, ErrOlder) {
		t.Errorf("got %v, want ErrOlder", err)
	}
	s.Lease = Lease{Proven: true}
	if s.Fresh(0) {
		t.Error("it answers before it is where it was")
	}
	s.Begin(0)
	if err := s.Welcomed(at(3, 7, 'b'), Entries); err != nil {
		t.Fatal(err)
	}
	for _, p := range []storage.Position{at(3, 5, 'c'), at(3, 7, 'b')} {
		s.Stored(p)
		if s.Floor != at(3, 7, 'b') {
			t.Errorf("the floor is %v at %v", s.Floor, p)
		}
	}
	if !s.Fresh(0) {
		t.Error("it doesn't answer where it was")
	}
	if s.Stored(at(3, 8, 'd')); s.Floor != at(3, 8, 'd') {
		t.Errorf("the floor is %v", s.Floor)
	}
}

func TestCame(t *testing.T) {
	here := at(3, 7, 'a')
	for name, row := range map[string]struct {
		from  storage.Position
		first uint64
		to    storage.Position
		phase phase
		want  error
	}{
		"the next":               {from: here, first: 8, to: at(3, 8, 'b'), phase: following},
		"the next three":         {from: here, first: 8, to: at(3, 10, 'b'), phase: following},
		"into a newer epoch":     {from: here, first: 8, to: at(4, 8, 'b'), phase: following},
		"again":                  {from: here, first: 7, to: at(3, 7, 'a'), phase: following, want: ErrGap},
		"again, and further":     {from: here, first: 7, to: at(3, 8, 'b'), phase: following, want: ErrGap},
		"later ones":             {from: here, first: 9, to: at(3, 9, 'b'), phase: following, want: ErrGap},
		"back":                   {from: here, first: 8, to: at(3, 7, 'a'), phase: following, want: ErrGap},
		"an older epoch":         {from: here, first: 8, to: at(2, 8, 'b'), phase: following, want: ErrGap},
		"the zero position":      {from: here, first: 8, phase: following, want: ErrGap},
		"to an empty store":      {first: 1, to: at(3, 1, 'b'), phase: following, want: ErrGap},
		"before the Welcome":     {from: here, first: 8, to: at(3, 8, 'b'), phase: greeted, want: ErrOrder},
		"without a session":      {from: here, first: 8, to: at(3, 8, 'b'), phase: closed, want: ErrOrder},
		"in place of a snapshot": {from: here, first: 8, to: at(3, 8, 'b'), phase: fetching, want: ErrOrder},
	} {
		t.Run(name, func(t *testing.T) {
			s := followingAt(row.from)
			s.session.phase = row.phase
			if err := s.Came(row.first, row.to); !errors.Is(err, row.want) {
				t.Fatalf("got %v, want %v", err, row.want)
			}
			if want := errors.Is(row.want, ErrGap); s.Whole != want {
				t.Errorf("Whole is %v, want %v", s.Whole, want)
			}
		})
	}
}

func TestSnapshot(t *testing.T) {
	here := at(3, 7, 'a')
	for name, row := range map[string]struct {
		to    storage.Position
		phase phase
		want  error
	}{
		"further":            {to: at(3, 9, 'b'), phase: following},
		"here":               {to: here, phase: following},
		"a newer epoch":      {to: at(4, 1, 'b'), phase: following},
		"back":               {to: at(3, 6, 'b'), phase: following, want: ErrOlder},
		"other contents":     {to: at(3, 7, 'b'), phase: following, want: ErrOther},
		"before the Welcome": {to: at(3, 9, 'b'), phase: greeted, want: ErrOrder},
		"twice":              {to: at(3, 9, 'b'), phase: fetching, want: ErrOrder},
	} {
		t.Run(name, func(t *testing.T) {
			s := followingAt(here)
			s.Refused()
			s.session.phase = row.phase
			if err := s.SnapshotBegan(row.to); !errors.Is(err, row.want) {
				t.Fatalf("got %v, want %v", err, row.want)
			}
			if row.want != nil {
				return
			}
			if _, ok := s.Ask(0); ok || !s.Follows() {
				t.Error("it asks while a snapshot is coming")
			}
			if s.Stored(at(3, 8, 'x')); s.session.phase != fetching || !s.Whole {
				t.Error("what isn't the snapshot ends it")
			}
			s.At = here
			s.Stored(row.to)
			if _, ok := s.Ask(0); !ok || s.Whole || s.At != row.to {
				t.Errorf("after the snapshot it is %+v", s)
			}
		})
	}
}

// The operator's word lets one older world in, whole, and no second one.
func TestAcceptOlder(t *testing.T) {
	was, is := at(3, 7, 'a'), at(2, 4, 'b')
	s := State{At: was, Floor: was, AcceptOlder: true, Whole: true}
	s.Begin(0)
	if err := s.Welcomed(is, Snapshot); err != nil {
		t.Fatal(err)
	}
	if err := s.SnapshotBegan(is); err != nil {
		t.Fatal(err)
	}
	if s.Stored(at(2, 3, 'x')); s.Floor != was || !s.AcceptOlder {
		t.Error("the word counts before the snapshot is there")
	}
	s.Stored(is)
	if s.At != is || s.Floor != is || s.AcceptOlder || s.Whole {
		t.Errorf("after the snapshot it is %+v", s)
	}
	s.Begin(0)
	if err := s.Welcomed(at(2, 3, 'c'), Snapshot); !errors.Is(err, ErrOlder) {
		t.Errorf("got %v, want ErrOlder", err)
	}
}

func TestQuestions(t *testing.T) {
	here := at(3, 7, 'a')
	s := followingAt(here)
	first, ok := s.Ask(time.Second)
	if !ok {
		t.Fatal("it doesn't ask")
	}
	if _, ok := s.Ask(2 * time.Second); ok {
		t.Error("it asks while it waits")
	}
	if err := s.Answered(here, first+1); !errors.Is(err, ErrOrder) {
		t.Errorf("the answer to a question of the future: got %v, want ErrOrder", err)
	}
	if err := s.Answered(here, first-1); err != nil || s.Lease.Proven {
		t.Errorf("an old answer: %v, lease %+v", err, s.Lease)
	}
	if err := s.Answered(here, first); err != nil || s.Lease != (Lease{Proven: true, Asked: time.Second, Limit: 10 * time.Second}) {
		t.Errorf("the answer: %v, lease %+v", err, s.Lease)
	}
	lease := s.Lease
	if err := s.Answered(here, first); err != nil || s.Lease != lease {
		t.Errorf("the answer again: %v, lease %+v", err, s.Lease)
	}

	second, ok := s.Ask(3 * time.Second)
	if !ok || second <= first {
		t.Errorf("asked %d after %d: %v", second, first, ok)
	}
	s.End()
	if err := s.Answered(here, second); !errors.Is(err, ErrOrder) {
		t.Errorf("an answer without a session: got %v, want ErrOrder", err)
	}
	s.Begin(10 * time.Second)
	if _, ok := s.Ask(4 * time.Second); ok {
		t.Error("it asks before it is welcome")
	}
	if err := s.Answered(here, second); !errors.Is(err, ErrOrder) {
		t.Errorf("an answer before the Welcome: got %v, want ErrOrder", err)
	}
	if err := s.Welcomed(here, Entries); err != nil {
		t.Fatal(err)
	}
	if err := s.Answered(here, second); err != nil || s.Lease != lease {
		t.Errorf("the answer of another session: %v, lease %+v", err, s.Lease)
	}
	if third, ok := s.Ask(5 * time.Second); !ok || third <= second {
		t.Errorf("asked %d after %d: %v", third, second, ok)
	}
}

func TestAnsweredElsewhere(t *testing.T) {
	here := at(3, 7, 'a')
	for name, row := range map[string]struct {
		hub   storage.Position
		older bool // AcceptOlder
		want  error
		whole bool
	}{
		"further":        {hub: at(3, 8, 'b'), want: ErrGap, whole: true},
		"a newer epoch":  {hub: at(4, 7, 'a'), want: ErrGap, whole: true},
		"back":           {hub: at(3, 6, 'b'), want: ErrOlder},
		"other contents": {hub: at(3, 7, 'b'), want: ErrOther},
		"nowhere":        {want: ErrOlder},
		"back, accepted": {hub: at(3, 6, 'b'), older: true, want: ErrGap, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := followingAt(here)
			s.AcceptOlder = row.older
			number, _ := s.Ask(0)
			if err := s.Answered(row.hub, number); !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
			if s.Lease.Proven || s.Whole != row.whole {
				t.Errorf("lease %+v, whole %v", s.Lease, s.Whole)
			}
		})
	}
}

func TestSilent(t *testing.T) {
	const patience = 3 * time.Second
	s := followingAt(at(3, 7, 'a'))
	if err := s.Silent(time.Hour, patience); err != nil {
		t.Errorf("nothing was asked: %v", err)
	}
	s.Ask(time.Second)
	if err := s.Silent(time.Second+patience, patience); err != nil {
		t.Errorf("just in time: %v", err)
	}
	if err := s.Silent(time.Second+patience+1, patience); !errors.Is(err, ErrSilent) {
		t.Errorf("got %v, want ErrSilent", err)
	}
	if err := s.SnapshotBegan(at(3, 9, 'b')); err != nil {
		t.Fatal(err)
	}
	if err := s.Silent(time.Hour, patience); err != nil {
		t.Errorf("a snapshot is coming: %v", err)
	}
}

func TestFresh(t *testing.T) {
	const limit = 10 * time.Second
	here := at(3, 7, 'a')
	lease := Lease{Proven: true, Asked: time.Minute, Limit: limit}
	for name, row := range map[string]struct {
		State
		now  Instant
		want bool
	}{
		"when it asked":     {State: State{At: here, Floor: here, Lease: lease}, now: time.Minute, want: true},
		"at the limit":      {State: State{At: here, Floor: here, Lease: lease}, now: time.Minute + limit, want: true},
		"past it":           {State: State{At: here, Floor: here, Lease: lease}, now: time.Minute + limit + 1},
		"without limit":     {State: State{At: here, Floor: here, Lease: Lease{Proven: true}}, now: 1e6 * time.Hour, want: true},
		"never proven":      {State: State{At: here, Floor: here, Lease: Lease{Limit: limit}}},
		"nothing proven":    {State: State{At: here, Floor: here}},
		"before its floor":  {State: State{At: at(3, 6, 'b'), Floor: here, Lease: lease}, now: time.Minute},
		"of an older epoch": {State: State{At: at(2, 9, 'b'), Floor: here, Lease: lease}, now: time.Minute},
		"an empty store":    {State: State{Lease: lease}, now: time.Minute},
	} {
		if got := row.Fresh(row.now); got != row.want {
			t.Errorf("%s: Fresh is %v", name, got)
		}
		if age, ok := row.Lease.Age(row.now); age != row.now-row.Lease.Asked || ok != row.Lease.Holds(row.now) {
			t.Errorf("%s: the lease is of age %v, holds: %v", name, age, ok)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, row := range []struct{ is, by, want time.Duration }{
		{is: 10, by: 4, want: 4},
		{is: 10, by: 20, want: 10},
		{is: 10, by: 10, want: 10},
		{is: 10, by: 0, want: 10},
		{is: 0, by: 4, want: 4},
		{is: 0, by: 0, want: 0},
	} {
		l := Lease{Limit: row.is}
		if l.Shorten(row.by); l.Limit != row.want {
			t.Errorf("%d shortened to %d is %d, want %d", row.is, row.by, l.Limit, row.want)
		}
	}
}
