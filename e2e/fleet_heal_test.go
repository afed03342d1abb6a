package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/internal/netns"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// fleetHealing is how long it may take until all are up to date once all is well.
const fleetHealing = time.Minute

// After a cut that lasted for long, TCP tries again only after about as long once more: who waits for that goes on
// answering 503 although all is well.
func TestFleetComesBackAfterALongCut(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes the time of a long cut")
	}
	// TCP has doubled its pauses by then up to one that ends 51 s after the cut began.
	const cut, back = 30 * time.Second, 18 * time.Second
	f := newFleet(t, 1)
	for _, s := range f.sidecars {
		f.network.Between(f.hub.host, s.host, netns.Weather{Loss: 1})
	}
	wait(cut)
	for _, s := range f.sidecars {
		if is := f.check(s, nobody); is != unavailable {
			t.Errorf("%s says that a key is %s, long after its lease", s.name, is)
		}
	}
	healed := f.now()
	if err := f.heal(); err != nil {
		t.Fatal(err)
	}
	if err := f.upToDate(); err != nil {
		t.Fatal(err)
	}
	took := f.now() - healed
	t.Logf("up to date %s after a cut of %s", took.Round(time.Millisecond), cut)
	if took > back {
		t.Errorf("it took %s until all were up to date after a cut of %s: at most %s", took, cut, back)
	}
}

// upToDate waits until every sidecar is where the hub is, holds a lease and answers.
func (f *fleet) upToDate() error {
	ctx, cancel := context.WithTimeout(f.ctx, fleetHealing)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		why := f.behind(ctx)
		if why == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s after all is well: %w", fleetHealing, why)
		case <-tick.C:
		}
	}
}

// behind returns why the fleet isn't up to date. What is written while it looks isn't asked for.
func (f *fleet) behind(ctx context.Context) error {
	f.world.Lock() // nobody writes
	defer f.world.Unlock()
	// What was written just before is still on its way, for as long as the disks take.
	r, err := f.about.AwaitReplicas(ctx, connect.NewRequest(&adminv1.AwaitReplicasRequest{Timeout: durationpb.New(2 * fleetLease)}))
	if err != nil {
		return err
	}
	if !r.Msg.GetReceipt().GetComplete() {
		return fmt.Errorf("the receipt isn't complete: %v", r.Msg.GetReceipt())
	}
	a, err := f.about.GetStatus(ctx, connect.NewRequest(&adminv1.GetStatusRequest{}))
	if err != nil {
		return err
	}
	for _, s := range f.sidecars {
		if !slices.ContainsFunc(a.Msg.GetReplicas(), func(r *adminv1.Replica) bool {
			return r.GetName() == s.name && r.GetConnected() && r.GetHoldsLease() && r.GetPosition().GetRevision() == a.Msg.GetPosition().GetRevision()
		}) {
			return fmt.Errorf("%s isn't at %v: %v", s.name, a.Msg.GetPosition(), a.Msg.GetReplicas())
		}
		if is := f.check(s, nobody); is != absent {
			return fmt.Errorf("%s says that a key which nobody made is %s", s.name, is)
		}
	}
	return nil
}

// nobody is a key that was never made.
var nobody = &fleetKey{id: "a key that nobody made", token: "sk_live_" + strings.Repeat("0", 30), seen: map[string][]sight{}}

// farewell issues a last key and revokes it, with everything well, and waits until each sidecar says so.
func (f *fleet) farewell() {
	r := rand.New(rand.NewPCG(1, 1))
	k := f.issue(r)
	if k == nil {
		f.t.Error("the hub doesn't issue a key although all is well")
		return
	}
	for _, to := range []standing{live, revoked} {
		if to == revoked {
			f.write(r, k, revoked)
		}
		eventually(f.t, "all replicas know the last key", func() error {
			for _, s := range f.sidecars {
				if is := f.check(s, k); is != to {
					return fmt.Errorf("at %s it is %s, and not %s", s.name, is, to)
				}
			}
			return nil
		})
	}
	f.timed.Wait()
}
