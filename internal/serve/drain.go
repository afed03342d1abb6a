package serve

import (
	"context"
	"errors"
	"fmt"
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

// Linger returns a part of a Group for the stage Announce: it has the others go on for a while, so that who asks for the
// health sees in time that the process is going away.
func Linger(log *slog.Logger, delay func() time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		d := delay()
		if d == 0 {
			return nil
		}
		log.Info("draining: requests are still answered, and the health says NOT_SERVING", "for", fmt.Sprint(d))
		<-time.After(d)
		return nil
	}
}
