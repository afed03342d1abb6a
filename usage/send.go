package usage

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/latchkey/latchkey/storage/tally"
)

const (
	// sendTime is how long a hub may take to answer a report.
	sendTime = 10 * time.Second
	// lastTime is how long it is tried to send what is left when the process ends. What can't be sent stays in the
	// file; a pod's folder may go with it.
	lastTime = 3 * time.Second
)

// send sends batches whenever it is woken, until wake is closed, and then what is left.
func (k *Keeper) send(ctx context.Context, wake <-chan struct{}) {
	pauses := &backoff.ExponentialBackOff{InitialInterval: 200 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 1.7, MaxInterval: 10 * time.Second}
	for range wake {
		pauses.Reset()
		for ctx.Err() == nil {
			err := k.sendAll(ctx)
			if err == nil {
				if k.unsent.Swap(nil) != nil {
					k.log.Info("usage is reported to a hub again")
				}
				break
			}
			if ctx.Err() != nil {
				break
			}
			k.metrics.unsent.Inc()
			if k.unsent.Swap(&err) == nil {
				k.log.Warn("usage can't be reported to a hub: it waits in the file, and is reported later", "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(pauses.NextBackOff()):
			}
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	if err := k.sendAll(last); err != nil {
		k.log.Warn("the last usage isn't reported: it waits in the file for the next start", "error", err)
	}
}

// sendAll sends batches, one after the other, until there is none.
func (k *Keeper) sendAll(ctx context.Context) error {
	for {
		f := k.file.Load()
		if f == nil {
			return tally.ErrClosed
		}
		m, err := f.Head()
		if err != nil || m == nil {
			return err
		}
		limit, cancel := context.WithTimeout(ctx, sendTime)
		err = k.o.Send(limit, m)
		cancel()
		switch {
		case err == nil:
			k.metrics.reported(k.o.Now())
		case k.o.Refused(err):
			// It would be refused again, and hold up all that follow.
			k.log.Error("the hub refuses a batch of usage: it is dropped", "number", m.GetNumber(), "error", err)
			for _, c := range m.GetCounts() {
				k.metrics.drop(dropRefused, c.GetCount())
			}
		default:
			return err
		}
		if err := f.Acknowledge(m); err != nil {
			return err
		}
	}
}
