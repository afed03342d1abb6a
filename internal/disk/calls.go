package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

const (
	// Patience is how long a call on a file is waited for where Calls doesn't say otherwise. A disk answers within
	// milliseconds, and a network within a second.
	Patience = 2 * time.Second
	// StartPatience is how long a process waits that is about to start: it has nothing else to do, and can't without the file.
	StartPatience = 30 * time.Second
	// maxPatience is how long one is waited for at most on a file that was slow before, and answered.
	maxPatience = 30 * time.Second
)

// ErrHung is in the error of a call on a file that nothing answers.
var ErrHung = errors.New("nothing answers")

// errLate is why a call isn't waited for any more. It leaves this file as a HungError.
var errLate = errors.New("too late")

// HungError says since when nothing answers calls on a file. It is the same until something does.
type HungError struct {
	Path  string
	Since time.Time
}

// Error implements error.
func (e *HungError) Error() string {
	return fmt.Sprintf("%s: nothing answers since %s: see whether what is mounted there, or the server that it comes from, is gone",
		e.Path, e.Since.UTC().Format(time.RFC3339))
}

// Is reports whether the target is ErrHung.
func (e *HungError) Is(target error) bool { return target == ErrHung }

// Calls makes calls on files that may never be answered, as on a network file system whose server is gone. Each is waited
// for for a while and no longer, so that whoever makes it goes on, and ends in time. What isn't answered holds a thread of
// the process until it is; so a file that hangs is tried again only once that has lasted twice as long as at the last try.
// The zero value is ready. It is safe for concurrent use.
type Calls struct {
	// Patience is how long a call is waited for; 0 for the constant.
	Patience time.Duration

	mu    sync.Mutex
	files map[string]*fileCalls
}

// fileCalls is what is known of the calls on a file that hangs, or was slow.
type fileCalls struct {
	since time.Time     // when the oldest of the calls was made that were given up; zero: it doesn't hang
	last  time.Time     // when the newest of them was
	took  time.Duration // that the last answer took
}

// Call makes a call on a file, or on more than one that are told of by one name, and returns what came of it: a HungError
// if that isn't there in time, and the context's error once that ends. What comes later is thrown away.
func Call[T any](ctx context.Context, c *Calls, path string, call func() (T, error)) (T, error) {
	began := time.Now()
	patience, err := c.begin(path, began)
	if err != nil {
		var none T
		return none, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience, errLate)
	defer cancel()
	result, err := Wait(limited, func() (T, error) {
		defer func() { c.answered(path, time.Since(began)) }()
		return call()
	})
	if err == errLate {
		return result, c.gaveUp(path, began)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return result, &fs.PathError{Op: "wait for", Path: path, Err: err}
	}
	return result, err
}

// Wait makes a call and returns what came of it, or the cause of the context's end once that comes first; what comes later
// is thrown away.
func Wait[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		value, err := call()
		results <- result{value, err}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		select {
		case r := <-results: // where the whole process stood still the time is over too
			return r.value, r.err
		default:
		}
		var none T
		return none, context.Cause(ctx)
	}
}

// Read is the function Read for a file that may hang.
func (c *Calls) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	return Call(ctx, c, name, func() ([]byte, error) { return Read(name, limit) })
}

// begin returns how long a call is to be waited for, or that it isn't to be made.
func (c *Calls) begin(path string, now time.Time) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	patience, f := c.patience(), c.files[path]
	if f == nil {
		return patience, nil
	}
	if !f.since.IsZero() && now.Sub(f.last) < max(patience, f.last.Sub(f.since)) {
		return 0, &HungError{path, f.since}
	}
	return max(patience, min(2*f.took, maxPatience)), nil
}

func (c *Calls) gaveUp(path string, began time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[path]
	if f == nil {
		if c.files == nil {
			c.files = map[string]*fileCalls{}
		}
		f = &fileCalls{}
		c.files[path] = f
	}
	if f.since.IsZero() {
		f.since = began
	}
	f.last = began
	return &HungError{path, f.since}
}

// answered notes that a call came back, in time or not: what hung does so no more.
func (c *Calls) answered(path string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[path]
	switch {
	case f == nil:
	case took > c.patience():
		f.since, f.took = time.Time{}, took
	default:
		delete(c.files, path)
	}
}

func (c *Calls) patience() time.Duration { return cmp.Or(c.Patience, Patience) }
