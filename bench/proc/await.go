package proc

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// startTime is how long a process may take until it answers: a million keys are
	// read, maybe from a cold disk.
	startTime = 2 * time.Minute
	// look is how often it is asked whether it does.
	look = 20 * time.Millisecond
)

// FinalError is one that doesn't go away by waiting.
type FinalError struct{ error }

// Final makes an error one that doesn't go away by waiting.
func Final(err error) error { return FinalError{err} }

// Unwrap returns the error.
func (e FinalError) Unwrap() error { return e.error }

// Await asks every now and then whether the process is ready, until it is, ends, or takes
// too long.
func (c *Child) Await(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it isn't ready after %s", startTime))
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if errors.As(err, new(FinalError)) {
			return c.Blame(err)
		}
		select {
		case <-tick.C:
		case <-c.done:
			return c.Blame(errors.Join(errors.New("it ended by itself"), c.err))
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return context.Canceled
			}
			return c.Blame(errors.Join(context.Cause(ctx), err))
		}
	}
}

// Wait waits until the process has ended by itself and returns how, or ends it when the
// context does.
func (c *Child) Wait(ctx context.Context) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		c.End()
		return ctx.Err()
	}
	if c.err != nil {
		return c.Blame(c.err)
	}
	return nil
}
