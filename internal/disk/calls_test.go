package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// share is a file that answers nothing until it is back.
type share struct {
	calls atomic.Int32 // that were made
	back  chan struct{}
}

func newShare() *share { return &share{back: make(chan struct{})} }

func (s *share) read() (string, error) {
	s.calls.Add(1)
	<-s.back
	return "content", nil
}

func TestACallThatHangsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Calls
		s, began := newShare(), time.Now()
		says := "/share: nothing answers since " + began.UTC().Format(time.RFC3339) + ": see whether"
		for time.Since(began) < time.Hour {
			tried := time.Now()
			_, err := Call(t.Context(), &c, "/share", s.read)
			if !errors.Is(err, ErrHung) || !strings.HasPrefix(err.Error(), says) {
				t.Fatalf("after %s: %v, want %q", time.Since(began), err, says)
			}
			if took := time.Since(tried); took != 0 && took != Patience {
				t.Errorf("after %s: it was waited for %s", time.Since(began), took)
			}
			// What another call found to hang was answered as far as this one goes.
			if _, inner := Call(t.Context(), &c, "/folder", func() (any, error) { return nil, err }); inner != err {
				t.Errorf("after %s: a folder says %v", time.Since(began), inner)
			}
			if got, err := Call(t.Context(), &c, "/disk", func() (string, error) { return "content", nil }); got != "content" || err != nil {
				t.Errorf("another file: %q, %v", got, err)
			}
			time.Sleep(10 * time.Second)
		}
		// Each of them holds a thread.
		if n := s.calls.Load(); n < 8 || n > 12 {
			t.Errorf("%d calls hang after an hour", n)
		}
		close(s.back)
		synctest.Wait()
		if got, err := Call(t.Context(), &c, "/share", s.read); got != "content" || err != nil {
			t.Errorf("it is back: %q, %v", got, err)
		}
	})
}

func TestACallThatWasSlowIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Calls
		slow := func(d time.Duration) error {
			_, err := Call(t.Context(), &c, "/share", func() (any, error) { time.Sleep(d); return nil, nil })
			return err
		}
		if err := slow(5 * time.Second); !errors.Is(err, ErrHung) {
			t.Errorf("at first: %v", err)
		}
		time.Sleep(10 * time.Second)
		for range 3 {
			if err := slow(6 * time.Second); err != nil {
				t.Errorf("it is known to be slow: %v", err)
			}
		}
		if err := slow(time.Second); err != nil {
			t.Error(err)
		}
		if err := slow(5 * time.Second); !errors.Is(err, ErrHung) {
			t.Errorf("it was fast again: %v", err)
		}
		time.Sleep(time.Minute)
	})
}

func TestACallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Calls
		s := newShare()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Call(ctx, &c, "/share", s.read); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrHung) || !strings.Contains(err.Error(), "/share") {
			t.Errorf("got %v", err)
		}
		close(s.back)
		if _, err := Call(t.Context(), &c, "/share", func() (any, error) { return nil, os.ErrNotExist }); err != os.ErrNotExist {
			t.Errorf("what comes of it isn't changed: %v", err)
		}
	})
}

func TestReadOfCalls(t *testing.T) {
	var c Calls
	name := filepath.Join(t.TempDir(), "file")
	if err := Replace(name, []byte("content"), true); err != nil {
		t.Fatal(err)
	}
	if text, err := c.Read(t.Context(), name, 3); string(text) != "cont" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := c.Read(t.Context(), name+"x", 3); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
