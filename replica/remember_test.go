package replica

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// What a replica answers from after a restart: as long as its lease went on, by the clock that can least be set, and
// nothing where that isn't sure.
func TestTheLeaseAfterARestart(t *testing.T) {
	const boot = "00000000-0000-0000-0000-000000000001"
	db := storagetest.New(t, storage.Options{}) // a position is all that matters of it
	commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(1)}})
	at := db.Position()
	later, other, older := at, at, at
	later.Revision++
	other.Epoch++
	older.Revision--
	wall := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const asked, limit = Instant(5 * time.Hour), 10 * time.Minute

	for _, c := range []struct {
		name    string
		at      *storage.Position // where it was proven
		limit   time.Duration
		reboot  bool
		now     Instant       // of the restart
		wall    time.Time     // of the restart
		holds   bool          // by the limit of before
		by      time.Duration // that it holds a lease of by the limit that is asked with; 0: none
		torn    bool
		instead []byte
	}{
		{name: "at once", at: &at, limit: limit, now: asked, wall: wall, holds: true, by: limit},
		{name: "a minute later", at: &at, limit: limit, now: asked + time.Minute, wall: wall.Add(time.Minute), holds: true, by: limit - time.Minute},
		{name: "at its end", at: &at, limit: limit, now: asked + limit, wall: wall.Add(limit), holds: true, by: time.Nanosecond},
		{name: "after its end", at: &at, limit: limit, now: asked + limit + 1, wall: wall, holds: false},
		{name: "the wall clock went forward by an hour", at: &at, limit: limit, now: asked + time.Minute, wall: wall.Add(time.Hour), holds: false},
		{name: "the wall clock went forward by five minutes", at: &at, limit: limit, now: asked + time.Minute, wall: wall.Add(6 * time.Minute), holds: true, by: 4 * time.Minute},
		{name: "the wall clock went back by a year", at: &at, limit: limit, now: asked + time.Minute, wall: wall.AddDate(-1, 0, 0), holds: true, by: limit - time.Minute},
		{name: "another start of the machine", at: &at, limit: limit, reboot: true, now: asked + time.Minute, wall: wall.Add(time.Minute), holds: false},
		{name: "the clock of the machine went back", at: &at, limit: limit, now: asked - 1, wall: wall, holds: false},
		{name: "the store is further", at: &older, limit: limit, now: asked, wall: wall, holds: true, by: limit},
		{name: "the store is older", at: &later, limit: limit, now: asked, wall: wall, holds: false},
		{name: "the store is of an older lineage", at: &other, limit: limit, now: asked, wall: wall, holds: false},
		{name: "never proven", limit: limit, now: asked, wall: wall, holds: false},
		{name: "without limit", at: &at, now: asked + time.Hour, wall: wall.Add(time.Hour), holds: true, by: -1},
		{name: "without limit, another start of the machine", at: &at, reboot: true, now: time.Minute, wall: wall.Add(time.Hour), holds: true, by: -1},
		{name: "without limit, another start and the wall clock went back", at: &at, reboot: true, now: time.Minute, wall: wall.Add(-time.Hour), holds: true, by: -1},
		{name: "torn", at: &at, limit: limit, now: asked, wall: wall, torn: true, holds: false},
		{name: "empty", now: asked, wall: wall, instead: []byte{}, holds: false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			m := &memory{path: filepath.Join(dir, rememberedName), boot: boot, id: "0123456789abcdef0123456789abcdef"}
			lease := Lease{}
			where := at
			if c.at != nil {
				lease, where = Lease{Proven: true, Asked: asked, Limit: c.limit}, *c.at
			}
			if err := m.remember(lease, where, asked, wall, true); err != nil {
				t.Fatal(err)
			}
			if !c.reboot {
				is := &replicav1.Remembered{} // as of this start of the machine
				if err := readSealed(m.path, is); err != nil {
					t.Fatal(err)
				}
				is.Boot = bootID()
				if c.at == nil {
					is.Boot = ""
				}
				if err := writeSealed(m.path, is, false); err != nil {
					t.Fatal(err)
				}
			}
			if c.torn {
				b, err := os.ReadFile(m.path)
				if err != nil {
					t.Fatal(err)
				}
				c.instead = b[:len(b)-3]
			}
			if c.instead != nil {
				if err := os.WriteFile(m.path, c.instead, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			again, got, err := recall(dir, db, c.now, c.wall)
			if err != nil {
				t.Fatal(err)
			}
			if got.Holds(c.now) != c.holds {
				t.Errorf("it holds: %v, of %+v", got.Holds(c.now), got)
			}
			if c.by > 0 && (!got.Holds(c.now+c.by-1) || got.Holds(c.now+c.by+1)) {
				t.Errorf("it should hold for %v more, of %+v at %v", c.by, got, c.now)
			}
			if (again.id == m.id) == (c.instead != nil) {
				t.Errorf("its name is %q, and was %q", again.id, m.id)
			}
			// A shorter limit counts from the question on, too; what isn't known to be young is old.
			got.Shorten(time.Minute)
			if c.reboot && got.Holds(c.now) {
				t.Errorf("after another start of the machine it holds a lease that has a limit now: %+v at %v", got, c.now)
			}
		})
	}
}

// A process that is told another limit is bound by the shorter of both until a hub has heard of it.
func TestAnotherLimitAfterARestart(t *testing.T) {
	h := hubWith(t, 1)
	dir := storagetest.Dir(t)
	r := startReplica(t, dir, time.Hour, h.target(t))
	eventually(t, "fresh", func() bool { return r.Status().Fresh })
	r.stop(t)
	_, gone := startLiar(t, nil)
	for _, c := range []struct{ told, want time.Duration }{{time.Minute, time.Minute}, {2 * time.Hour, time.Minute}, {0, time.Minute}} {
		r = startReplica(t, dir, c.told, gone)
		if s := r.Status(); !s.Fresh || !s.Proven {
			t.Errorf("with %v it doesn't answer: %+v", c.told, s)
		}
		if got := r.Proof().Limit; got != c.want {
			t.Errorf("with %v a lease of %v", c.told, got)
		}
		r.stop(t)
	}
	r = startReplica(t, dir, 2*time.Hour, h.target(t))
	eventually(t, "the hub has heard of it", func() bool { return r.Proof().Limit == 2*time.Hour })
}

// A remembered lease that can't be read at all is an error; one that was cut off isn't.
func TestSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sealed")
	m := &replicav1.Remembered{Id: "x", Boot: "y"}
	if err := writeSealed(path, m, true); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got replicav1.Remembered
	if err := readSealed(path, &got); err != nil || !proto.Equal(&got, m) {
		t.Errorf("%v, %v", &got, err)
	}
	for n := range b {
		if err := os.WriteFile(path, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := readSealed(path, &got); !errors.Is(err, errTorn) && n > 0 {
			t.Errorf("cut off at %d: %v", n, err)
		}
		bad := append([]byte(nil), b...)
		bad[n] ^= 4
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := readSealed(path, &got); !errors.Is(err, errTorn) {
			t.Errorf("a bit of byte %d is wrong: %v", n, err)
		}
	}
	junk := []byte{0xff, 0xff, 0xff}
	if err := os.WriteFile(path, binary.LittleEndian.AppendUint32(junk, crc32.Checksum(junk, castagnoli)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readSealed(path, &got); err == nil || errors.Is(err, errTorn) {
		t.Errorf("no message under a right sum: %v", err)
	}
	if err := readSealed(path+".none", &got); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := writeSealed(filepath.Join(path, "below a file"), m, true); err == nil {
		t.Error("it was written where nothing can be")
	}
}

// A full disk doesn't keep a replica from going on with the lease that it has; one that is made shorter, or that there
// isn't, has to be written down.
func TestARestartThatCanNotWriteTheLease(t *testing.T) {
	h := hubWith(t, 1)
	dir := storagetest.Dir(t)
	block := filepath.Join(dir, rememberedName+".new") // where it is written
	start := func(limit time.Duration) error {
		db := storagetest.Open(t, dir, storage.Options{Replica: true})
		defer storagetest.Close(t, db)
		f, err := NewFollower(FollowerOptions{DB: db, Folder: dir, Limit: limit})
		if err == nil && !f.Status().Fresh {
			t.Errorf("with %v it doesn't answer", limit)
		}
		return err
	}
	storagetest.Close(t, storagetest.Open(t, dir, storage.Options{Replica: true}))
	if err := os.Mkdir(block, 0o700); err != nil {
		t.Fatal(err)
	}
	if start(time.Hour) == nil {
		t.Error("it begins without a lease, and can't write one down")
	}
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	r := startReplica(t, dir, time.Hour, h.target(t))
	eventually(t, "fresh", func() bool { return r.Status().Fresh })
	r.stop(t)
	if err := os.Mkdir(block, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := start(time.Hour); err != nil {
		t.Error(err)
	}
	if start(time.Minute) == nil {
		t.Error("it begins by a shorter lease, and can't write it down")
	}
}
