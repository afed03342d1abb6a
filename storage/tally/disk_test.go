//go:build linux && (amd64 || arm64)

package tally

import (
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/faults"
)

// Whichever call of the disk fails, what is written again after an error counts once. bbolt shows what it couldn't sync.
func TestAFailedCallCountsOnce(t *testing.T) {
	if faults.Apart(t, 5*time.Minute) {
		return
	}
	defer func() { faults.GiveUp(faults.Inject("", nil)) }()
	one := allowed(1, noon, 1)
	for what, write := range map[string]func(*bench) error{
		"add":   func(b *bench) error { return b.Add([]Count{one}) },
		"queue": func(b *bench) error { _, err := b.Queue([]Count{one}); return err },
		"receive": func(b *bench) error {
			_, err := b.Receive(t.Context(), Report{Identity: "a", ID: "b", Batch: batch(1, 1, one)})
			return err
		},
	} {
		for name, decide := range map[string]func(int, faults.Fault) func(faults.Call) faults.Fault{"once": faults.Nth, "from then on": faults.From} {
			n := 1
			for failed := true; failed; n++ {
				b := open(t, func(o *Options) { o.noSync = false })
				faults.GiveUp(faults.Inject(b.o.Folder, decide(n, faults.Fault{Errno: syscall.EIO})))
				err := write(b)
				faults.GiveUp(faults.Inject("", nil))
				if err != nil {
					err = write(b)
				}
				if err != nil {
					t.Errorf("%s: call %d failed %s, and then again: %v", what, n, name, err)
				}
				counted := b.ever(1)
				for m, err := b.Head(); m != nil || err != nil; m, err = b.Head() {
					if err != nil {
						t.Fatal(err)
					}
					counted += sent(m)
					if err := b.Acknowledge(m); err != nil {
						t.Fatal(err)
					}
				}
				if counted != 1 || b.Pending() != 0 {
					t.Errorf("%s: call %d failed %s: it counts %d times, and %d batches wait", what, n, name, counted, b.Pending())
				}
				failed = len(faults.Seen()) >= n
			}
			if n < 5 {
				t.Errorf("%s: only %d calls were made", what, n-2)
			}
		}
	}
}
