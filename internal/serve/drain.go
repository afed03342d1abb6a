package serve

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/latchkey/latchkey/internal/strictyaml"
)

// maxDrainDelay is more than anybody takes to see by the health that a process is going away.
const maxDrainDelay = 5 * time.Minute

// ParseDrainDelay reads how long a process goes on answering once it says that it is going away; empty is not at all.
func ParseDrainDelay(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := strictyaml.ParseDuration(text)
	if err != nil {
		return 0, err
	}
	if d > maxDrainDelay {
		return 0, errors.New("it can be five minutes at most")
	}
	return d, nil
}

// Leave returns a part of a Group for the stage Announce: once it is stopped it tells that the process is going away, and
// has everything go on for as long as delay says, so that who asks for the health sees that in time. Without a delay it
// tells nothing: nobody could act on it before the listeners close, and an Envoy that heard of it by chance would refuse
// what it could ask the next process. The log is told, and again when the listeners are about to close.
func (h *Health) Leave(log *slog.Logger, delay func() time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		defer log.Info("stopping: requests in flight are still answered")
		d := delay()
		if d == 0 {
			return nil
		}
		h.mu.Lock()
		h.leaving = true
		h.set(false, h.services...)
		h.mu.Unlock()
		log.Info("draining: requests are still answered, and the health says NOT_SERVING", "for", d.String())
		<-time.After(d)
		return nil
	}
}
