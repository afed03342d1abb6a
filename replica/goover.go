package replica

import (
	"fmt"
	"math/rand/v2"
	"time"
)

func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// lookAround asks the other hubs where they are, while the session goes on.
func (c *connection) lookAround() {
	if len(c.f.o.Hubs) < 2 {
		return
	}
	go func() {
		found, err := locate(c.ctx, c.f.o.Hubs)
		if err != nil {
			return // they are looked for again
		}
		select {
		case c.others <- found:
		case <-c.ctx.Done():
		}
	}()
}

// compare ends the session where another hub was found further ahead twice: once may be a matter of moments.
func (c *connection) compare(found []located) error {
	own := c.f.state.At
	for _, one := range found {
		if one.Name == c.hub.Name && own.Before(one.at) {
			own = one.at
		}
	}
	good := c.f.worthy(found)
	if len(good) == 0 {
		return nil
	}
	best := furthest(good)
	if best.Name == c.hub.Name || !own.Before(best.at) {
		c.further = 0
		return nil
	}
	if c.further++; c.further < 2 {
		return nil
	}
	return fmt.Errorf("%w: %s is at %s", errAhead, best.Name, best.at)
}
