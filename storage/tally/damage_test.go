package tally

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/internal/disk"
)

// fill has something in each bucket.
func (b *bench) fill() {
	b.t.Helper()
	var all []Count
	for n := range 200 {
		all = append(all, allowed(byte(n), noon, 1), allowed(byte(n), noon.Add(-10*day), 1))
	}
	if err := b.Add(all); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Queue(all); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Receive(b.t.Context(), Report{Identity: "pod", ID: "id", Batch: batch(1, 1)}); err != nil {
		b.t.Fatal(err)
	}
}

// A damaged file is put aside, and another begun: wherever the damage is, nobody who counts is kept from it.
func TestADamagedFileIsBegunAnew(t *testing.T) {
	b := open(t, nil)
	b.fill()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.o.Folder, Name)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	aside := 0
	// Behind its pages the file is empty.
	for at := 0; at < len(bytes.TrimRight(whole, "\x00")); at += 4093 {
		broken := append([]byte(nil), whole...)
		for i := at; i < min(at+16, len(broken)); i++ {
			broken[i] ^= 0xff
		}
		if at%2 == 0 {
			broken = broken[:at]
		}
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		b.log.Reset()
		if b.File, err = Open(b.o); err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		if err := b.Add([]Count{allowed(1, noon, 1)}); err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		if strings.Contains(b.log.String(), "begin anew") {
			aside++
			if got := b.ever(1); got != 1 {
				t.Errorf("byte %d: a new file counts %d", at, got)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if aside < 8 {
		t.Errorf("only %d were found to be damaged", aside)
	}
	entries, err := os.ReadDir(b.o.Folder)
	if err != nil || len(entries) > 2 {
		t.Errorf("the folder fills: %v, %v", entries, err)
	}
}

// The disk rots under a file that is in use: it is told of once, and from then on the new one counts.
func TestDamageWhileInUse(t *testing.T) {
	b := open(t, nil)
	b.fill()
	path := filepath.Join(b.o.Folder, Name)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	junk := []byte(strings.Repeat("\xaa", 4096))
	for at := int64(2 * 4096); at < info.Size(); at += 4096 { // all but the meta pages
		if _, err := f.WriteAt(junk, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Add([]Count{allowed(1, noon, 1)}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a damaged file: %v", err)
	}
	if err := b.Add([]Count{allowed(1, noon, 1)}); err != nil || b.ever(1) != 1 {
		t.Errorf("the new one: %v", err)
	}
	if n, err := b.Queue([]Count{allowed(1, noon, 1)}); err != nil || n > 0 || b.Pending() != 1 {
		t.Errorf("its outbox: %d, %v, %d wait", n, err, b.Pending())
	}
}

// A panic in bbolt's Commit leaves its lock held: others don't wait for that, and the file is begun anew.
func TestAPanicHoldsUpNobody(t *testing.T) {
	b := open(t, nil)
	var all []Count
	for h := range 150 {
		for s := range byte(40) {
			all = append(all, allowed(s, noon.Add(-time.Duration(h)*time.Hour), 1))
		}
	}
	if err := b.Add(all); err != nil {
		t.Fatal(err)
	}
	began, comes, panicked, waits := make(chan struct{}), make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() {
		panicked <- b.update(func(tx *bbolt.Tx) error { // as Fold does
			for _, name := range before(tx, bucketHours, math.MaxUint32) {
				if err := tx.Bucket(bucketHours).Delete(name); err != nil {
					return err
				}
			}
			close(began)
			<-comes
			for range 1000 { // until it waits
				runtime.Gosched()
			}
			return os.Truncate(b.path, 8<<10)
		})
	}()
	<-began
	go func() {
		close(comes)
		waits <- b.Add([]Count{allowed(1, noon, 1)})
	}()
	patience := time.After(time.Minute)
	for _, one := range []struct {
		err  chan error
		want error
	}{{panicked, ErrDamaged}, {waits, nil}} {
		select {
		case err := <-one.err:
			if !errors.Is(err, one.want) {
				t.Errorf("got %v, want %v", err, one.want)
			}
		case <-patience:
			b.File = &File{} // whose Close doesn't wait as well
			t.Fatal("a writer waits for ever")
		}
	}
	if n := b.ever(1); n != 1 {
		t.Errorf("the new file counts %d, want 1", n)
	}
}

// A file of another format is put aside too.
func TestAnotherFormat(t *testing.T) {
	b := open(t, nil)
	if err := b.update(func(tx *bbolt.Tx) error { return put(tx, bucketMeta, metaFormat, []byte{format + 1}) }); err != nil {
		t.Fatal(err)
	}
	b.again()
	if _, err := os.Stat(filepath.Join(b.o.Folder, Name) + disk.DamagedSuffix); err != nil || !strings.Contains(b.log.String(), errFormat.Error()) {
		t.Errorf("%v, and the log says:\n%s", err, b.log.String())
	}
}

// Another program's file, and a link, aren't touched but put aside, or refused.
func TestAStrangersFile(t *testing.T) {
	b := open(t, nil)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.o.Folder, Name)
	if err := errors.Join(os.Remove(path), os.Symlink("/dev/null", path)); err != nil {
		t.Fatal(err)
	}
	if f, err := Open(b.o); err == nil {
		t.Error("a link was followed", f.Close())
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("a text"), 0o600)); err != nil {
		t.Fatal(err)
	}
	b.again()
	if kept, err := os.ReadFile(path + disk.DamagedSuffix); err != nil || string(kept) != "a text" {
		t.Errorf("it is kept as %q, %v", kept, err)
	}
}
