package watermark

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// model is what a file must hold after whatever was done to it.
type model struct {
	t     *rapid.T
	path  string
	power *power
	limit int64
	f     *File

	all   []*logv1.Mark // all that were acknowledged, or read after a crash
	maybe []*logv1.Mark // those of failed appends, any one of which may be there
	torn  bool          // whether parts of such may be there

	seen map[string]int
}

func (m *model) count(what string) { m.seen[what]++ }

// mark makes the next mark, of some size: that of the last attempt once more, or that of a store which has gone on.
func (m *model) mark() *logv1.Mark {
	last := m.all[len(m.all)-1].Position
	if n := len(m.maybe); n > 0 {
		if rapid.Bool().Draw(m.t, "same again") {
			return m.maybe[n-1]
		}
		last = m.maybe[n-1].Position
	}
	filler := rapid.SampledFrom([]int{0, 0, 30, 600, 5000, 70_000}).Draw(m.t, "filler")
	id := "key_" + strconv.Itoa(rapid.IntRange(1, 30).Draw(m.t, "key"))
	next := mark(last.Revision+1, putKey(m.t, id, rapid.Bool().Draw(m.t, "revoked"), filler))
	next.Position = position(last.Epoch, last.Revision+1)
	if rapid.IntRange(0, 9).Draw(m.t, "restored") == 0 {
		next.Position = position(last.Epoch+1, 1)
	}
	return next
}

func (m *model) append(*rapid.T) {
	next := m.mark()
	if rapid.IntRange(0, 3).Draw(m.t, "reserve") > 0 {
		err := m.f.Reserve(next)
		if m.f.Compaction() != nil {
			m.count("compaction failed")
		}
		if err == nil {
			m.maybe, m.torn = nil, false // nothing is left of them
		} else {
			m.count("reserve failed")
			m.torn = true // wiped by halves
			if rapid.Bool().Draw(m.t, "refused") {
				return
			}
		}
	}
	if err := m.f.Append(next); err != nil {
		m.count("append failed")
		m.maybe, m.torn = append(m.maybe, next), true
		return
	}
	m.count("appended")
	m.all, m.maybe, m.torn = append(m.all, next), nil, false
}

// read expects all that was acknowledged, and nothing wrong but at the end after a failure. It returns what else was there.
func (m *model) read() (c *Contents, more *logv1.Mark) {
	c, err := Read(m.path)
	must(m.t, err)
	if c.Torn && !m.torn {
		m.t.Fatalf("torn, and nothing was cut off")
	}
	want := m.all
	for _, maybe := range m.maybe {
		if proto.Equal(c.Last(), maybe.Position) {
			more = maybe
		}
	}
	if more != nil {
		want = append(want[:len(want):len(want)], more)
	}
	untorn := *c
	untorn.Torn = false
	shortened(m.t, &untorn, want)
	if len(c.Marks) < len(want) {
		m.count("read: shortened")
	}
	return c, more
}

// restart is what a new process does after the end of the one before.
func (m *model) restart(how string) {
	m.count(how)
	for {
		c, more := m.read()
		if more != nil {
			m.count(how + ": one more")
		}
		if c.Torn {
			m.count(how + ": torn")
		}
		var err error
		if m.f, err = reopen(m.power.disk(), m.path, c); err != nil {
			m.count("reopening failed")
			continue
		}
		m.f.Limit = m.limit
		m.torn = m.torn || c.Torn // the disk may have what the system doesn't show
		if more != nil {
			m.all, m.maybe = append(m.all, more), nil
		}
		return
	}
}

func TestModel(t *testing.T) {
	dir, seen := t.TempDir(), map[string]int{}
	never := func() (what []string) {
		for _, one := range []string{
			"append failed", "reserve failed", "reopening failed", "compaction failed", "read: shortened",
			"kill: one more", "kill: torn", "power cut: one more", "power cut: torn", "cut off: torn",
		} {
			if seen[one] == 0 {
				what = append(what, one)
			}
		}
		return what
	}
	walk(t, dir, seen)
	// Some are rare: what didn't happen by chance does the next time.
	for tries := 0; tries < 10 && len(never()) > 0 && !testing.Short(); tries++ {
		walk(t, dir, seen)
	}
	t.Log(seen)
	if what := never(); len(what) > 0 && !testing.Short() {
		t.Errorf("never happened: %q", what)
	}
}

// walk does what comes, in random order, to many files, one after the other.
func walk(t *testing.T, dir string, seen map[string]int) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		m := &model{
			t: t, path: filepath.Join(dir, Name), power: newPower(random), limit: rapid.Int64Range(500, 20_000).Draw(t, "limit"),
			all: []*logv1.Mark{base(1, "key_0")}, seen: seen,
		}
		var err error
		m.f, err = create(m.power.disk(), m.path, m.all[0])
		must(t, err)
		m.f.Limit = m.limit
		defer func() { _ = m.f.Close() }()
		if rarely := rapid.SampledFrom([]int{0, 4, 20}).Draw(t, "faults"); rarely > 0 {
			m.power.fail = func(string) bool { return random.IntN(rarely) == 0 }
		}
		t.Repeat(map[string]func(*rapid.T){
			"append":  m.append,
			"append2": m.append, // more often than the others
			"read":    func(*rapid.T) { m.read() },
			"kill": func(*rapid.T) {
				must(t, m.f.Close())
				m.restart("kill")
			},
			"power cut": func(*rapid.T) {
				must(t, m.f.Close())
				must(t, os.WriteFile(m.path, m.power.cut(), mode))
				m.restart("power cut")
				m.maybe = nil
			},
			"cut off": func(*rapid.T) {
				must(t, m.f.Close())
				m.cutOff()
				m.restart("cut off")
			},
		})
	})
}

// cutOff ends the file at any byte after its first mark: what is whole before it is all there is.
func (m *model) cutOff() {
	c, more := m.read()
	if more != nil {
		m.all = append(m.all, more)
	}
	m.maybe = nil
	size := rapid.Int64Range(c.ends[0], c.size).Draw(m.t, "cut off at")
	must(m.t, os.Truncate(m.path, size))
	b := bytesOf(m.t, m.path)
	m.power.cut()
	m.power.next.durable, m.power.next.shown = b, append([]byte(nil), b...)
	n, whole := 0, int64(0)
	for n < len(c.ends) && c.ends[n] <= size {
		whole = c.ends[n]
		n++
	}
	m.all = m.all[:len(m.all)-len(c.Marks)+n]
	m.torn = c.Torn || whole < size && size < c.end
	if again := contents(m.t, m.path); whole < size && size < c.end && !again.Torn {
		m.t.Fatalf("%d bytes of a mark are left and it isn't torn", size-whole)
	}
}
