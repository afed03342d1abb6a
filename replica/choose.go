package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

const (
	// locateTime is how long a hub may take to say where it is.
	locateTime = 3 * time.Second
	// locateMore is how long the others have once one has answered.
	locateMore = 300 * time.Millisecond
)

// located is a hub, and where it is.
type located struct {
	Target
	at     storage.Position
	origin string
	err    error
}

// locate asks hubs where they are, all at the same time, and returns those that answer soon enough.
func locate(ctx context.Context, hubs []Target) (found []located, err error) {
	ctx, cancel := context.WithTimeout(ctx, locateTime)
	defer cancel()
	answers := make(chan located, len(hubs))
	for _, hub := range hubs {
		go func() {
			one := located{Target: hub}
			var m *replicav1.LocateResponse
			if m, one.err = replicav1.NewReplicaServiceClient(hub.Connection).Locate(ctx, &replicav1.LocateRequest{}); one.err == nil {
				one.at, one.err = readPosition(m.GetPosition())
				one.origin = m.GetOrigin()
			}
			answers <- one
		}()
	}
	var errs []error
	var enough <-chan time.Time
	for range hubs {
		select {
		case one := <-answers:
			if one.err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", one.Name, one.err))
				continue
			}
			found = append(found, one)
			if enough == nil {
				timer := time.NewTimer(locateMore)
				defer timer.Stop()
				enough = timer.C
			}
		case <-enough:
			// What came in time counts, also where it wasn't looked at in time.
			for len(answers) > 0 {
				if one := <-answers; one.err == nil {
					found = append(found, one)
				}
			}
			return found, nil
		}
	}
	if len(found) == 0 {
		return nil, errors.Join(errs...)
	}
	return found, nil
}

// refusedFor is how long a hub that was refused is passed over where others answer.
const refusedFor = time.Minute

// choose returns the hub that is furthest ahead; among several such, any, so that replicas spread. Hubs of another
// origin, and those that were refused a moment ago, are passed over where there are others.
func (f *Follower) choose(ctx context.Context) (Target, error) {
	if len(f.o.Hubs) == 1 {
		return f.o.Hubs[0], nil
	}
	found, err := locate(ctx, f.o.Hubs)
	if err != nil {
		return Target{}, err
	}
	if good := f.worthy(found); len(good) > 0 {
		found = good
	}
	return furthest(found).Target, nil
}

// worthy returns the hubs that the replica may go over to, as far as is known.
func (f *Follower) worthy(found []located) (good []located) {
	for _, one := range found {
		if when, ok := f.refused[one.Name]; (!ok || time.Since(when) > refusedFor) && (f.state.AcceptOlder || native(f.o.DB.Origin(), one.origin)) {
			good = append(good, one)
		}
	}
	return good
}

// native reports whether a hub may be of the origin that a replica's store is of. Neither may be known.
func native(own, hub string) bool { return own == "" || hub == "" || own == hub }

func furthest(found []located) located {
	best, equals := found[0], 1
	for _, one := range found[1:] {
		switch {
		case best.at.Before(one.at):
			best, equals = one, 1
		case !one.at.Before(best.at):
			if equals++; rand.IntN(equals) == 0 {
				best = one
			}
		}
	}
	return best
}
