package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// TestKilledReplicas kills a hub that is written to, and the sidecars that follow it, again and again, each whenever
// chance has it. What the hub acknowledged is never lost; a sidecar never answers from a store that is older than what
// its hub says that it has; and each catches up.
//
// LATCHKEY_KILLS is how often.
func TestKilledReplicas(t *testing.T) {
	kills := number(t, "LATCHKEY_KILLS", 200)
	f := newKilledFleet(t, kills)
	f.load()
	began := time.Now()
	var all, pods sync.WaitGroup
	all.Go(f.killHubs)
	for n := range fleetPods {
		pods.Go(func() { f.killPods(n) })
	}
	all.Go(func() { pods.Wait(); close(f.alone) })
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-time.After(30 * time.Second):
			t.Logf("%d kills in %s", f.kills.Load(), time.Since(began).Round(time.Second))
		case <-done:
			running = false
		}
	}
	took := time.Since(began)
	if !t.Failed() {
		f.settled()
	}
	t.Logf("%d kills (%d of the hub, %d during a start, %d sidecars begun anew) in %s: %.1f a second", f.kills.Load(), f.hubs.Load(),
		f.early.Load(), f.anew.Load(), took.Round(time.Second), float64(f.kills.Load())/took.Seconds())
	t.Logf("%d revisions, in flight at a kill and found done %d, not done %d; %d receipts; %d revoked tokens presented, %d of them answered 503; %d times caught up",
		f.revision, f.done, f.undone, f.receipts.Load(), f.checks.Load(), f.stale.Load(), f.caught.Load())
	if !t.Failed() {
		t.Log("0 acknowledged writes lost, 0 answers from before what was acknowledged")
	}
}

// killHubs starts the hub, compares, writes, and kills it.
func (f *killedFleet) killHubs() {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for running := true; running; {
		v, err := f.startHub()
		if err != nil {
			f.t.Error(err)
			return
		}
		if r.IntN(10) == 0 { // during its start
			wait(time.Duration(r.Int64N(int64(60 * time.Millisecond))))
			f.early.Add(1)
		} else {
			err = f.hubLife(v, r)
		}
		f.left.Add(-1)
		f.kills.Add(1)
		f.hubs.Add(1)
		if err = errors.Join(err, v.kill()); err != nil {
			f.fail(err, v.log)
			return
		}
		select {
		case <-f.alone:
			running = false
		case <-f.failed:
			running = false
		default:
		}
	}
}

// hubLife is what happens between a start and the kill.
func (f *killedFleet) hubLife(v *victim, r *rand.Rand) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Minute) // for up to 65 writes
	defer cancel()
	status, _, err := v.answers(ctx)
	if err != nil {
		return err
	}
	if err := f.found(status.GetPosition()); err != nil {
		return err
	}
	for _, token := range f.deadAt(f.revision, 2, 2) {
		if got, err := askCheck(ctx, v.check, kodeyTeam, token); err != nil || got != http.StatusUnauthorized {
			return fmt.Errorf("LOST: the hub answers a token that was revoked with %d, %w", got, err)
		}
	}
	if got, err := askCheck(ctx, v.check, kodeyTeam, f.live[r.IntN(len(f.live))].token); err != nil || got != http.StatusOK {
		return fmt.Errorf("LOST: the hub answers a live token with %d, %w", got, err)
	}
	watching, stop := context.WithCancel(ctx)
	var watched sync.WaitGroup
	watched.Go(func() { f.watch(watching, v) })
	defer watched.Wait()
	defer stop()
	if err := f.rename(ctx, v); err != nil {
		return err
	}
	writes := make(chan error, 1)
	go func() { writes <- f.write(ctx, v, r, 5+r.IntN(60)) }()
	defer cancel()
	select {
	case err := <-writes:
		if err != nil || !f.over() {
			return err
		}
	case <-f.failed:
		return nil
	}
	// The sidecars that are left may wait for it.
	select {
	case <-f.alone:
	case <-f.failed:
	case <-ctx.Done():
	}
	return nil
}

// write makes a number of writes, and one more that nobody waits for.
func (f *killedFleet) write(ctx context.Context, v *victim, r *rand.Rand, n int) error {
	for range n {
		var err error
		switch {
		case f.over():
			return nil
		case r.IntN(25) == 0:
			err = f.receipt(ctx, v)
		case len(f.live) < fleetKeys || r.IntN(2) == 0 && len(f.live) < 2*fleetKeys:
			err = f.create(ctx, v, r)
		default:
			err = f.revoke(ctx, v)
		}
		if err != nil {
			return err
		}
	}
	last, cancel := context.WithTimeout(ctx, time.Duration(r.Int64N(int64(3*time.Millisecond))))
	defer cancel()
	_ = f.create(last, v, r) // it may have been done
	return nil
}

// rename gives keys whose answer was lost their names.
func (f *killedFleet) rename(ctx context.Context, v *victim) error {
	unknown := map[string]int{}
	for i, k := range f.live {
		if k.id == "" {
			unknown[k.token[len(k.token)-8:]] = i
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	err := v.list(ctx, &adminv1.ListKeysRequest{Tenant: "team:t_1"}, func(k *adminv1.Key) {
		if i, ok := unknown[k.GetName()]; ok {
			f.mu.Lock()
			f.live[i].id = k.GetId()
			f.mu.Unlock()
			delete(unknown, k.GetName())
		}
	})
	if err == nil && len(unknown) > 0 {
		err = fmt.Errorf("LOST: %d keys that were made aren't there", len(unknown))
	}
	return err
}

// killPods starts a sidecar, compares, lets it apply something, and kills it.
func (f *killedFleet) killPods(n int) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	name, generation := fmt.Sprintf("side-%d", n), 0
	for !f.over() {
		if r.IntN(50) == 0 { // a new one in a new folder, which begins with a snapshot
			_ = os.RemoveAll(filepath.Join(f.dir, name))
			generation++
			name = fmt.Sprintf("side-%d-%d", n, generation)
			f.anew.Add(1)
		}
		p, err := f.startPod(name)
		if err != nil {
			f.t.Error(err)
			return
		}
		if r.IntN(8) == 0 { // during its start
			wait(time.Duration(r.Int64N(int64(60 * time.Millisecond))))
			f.early.Add(1)
		} else {
			err = f.podLife(p, name, r)
		}
		f.left.Add(-1)
		f.kills.Add(1)
		if err = errors.Join(err, p.kill()); err != nil {
			f.fail(fmt.Errorf("%s: %w", name, err), p.log)
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pods = append(f.pods, name)
}

// podLife is what happens between a start and the kill.
func (f *killedFleet) podLife(p *pod, name string, r *rand.Rand) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Minute)
	defer cancel()
	if err := f.compare(ctx, p, name); err != nil {
		return err
	}
	if r.IntN(25) == 0 {
		f.mu.Lock()
		newest := f.revision
		f.mu.Unlock()
		if err := p.awaitRevision(ctx, newest); err != nil {
			return err
		}
		f.caught.Add(1)
	}
	enough := time.After(400 * time.Millisecond)
	for range r.IntN(4) {
		f.mu.Lock()
		was, news := f.applied[name], f.news
		f.mu.Unlock()
		for same := true; same; {
			select {
			case <-news:
			case <-enough:
				return nil
			case <-p.exited:
				return errors.New("it ended by itself")
			}
			f.mu.Lock()
			same, news = f.applied[name] == was, f.news
			f.mu.Unlock()
		}
	}
	if err := f.compare(ctx, p, name); err != nil {
		return err
	}
	wait(time.Duration(r.Int64N(int64(4 * time.Millisecond))))
	return nil
}

// compare presents tokens that the sidecar must know to be dead, and looks where it is.
func (f *killedFleet) compare(ctx context.Context, p *pod, name string) error {
	f.mu.Lock()
	applied, promised := f.applied[name], f.promised
	f.mu.Unlock()
	for _, token := range f.deadAt(max(applied, promised), 3, 3) {
		got, err := p.ask(ctx, kodeyTeam, token)
		if err != nil {
			return err
		}
		f.checks.Add(1)
		switch got {
		case http.StatusUnauthorized:
		case http.StatusServiceUnavailable:
			f.stale.Add(1)
		default:
			return fmt.Errorf("REVIVED: a revoked token is answered %d by a sidecar that acknowledged revision %d, after a receipt of %d", got, applied, promised)
		}
	}
	// No token may have been dead yet: a check waits for the process to listen.
	if _, err := p.ask(ctx, kodeyTeam, "nobody's"); err != nil {
		return err
	}
	at, err := p.revision(ctx)
	if err != nil {
		return err
	}
	if at < applied {
		return fmt.Errorf("LOST: the sidecar is at revision %d, and had acknowledged %d", at, applied)
	}
	return nil
}

// settled starts everything once more, and waits until all are where the hub is.
func (f *killedFleet) settled() {
	v, err := f.startHub()
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = v.kill() }()
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Minute)
	defer cancel()
	status, _, err := v.answers(ctx)
	if err == nil {
		err = f.found(status.GetPosition())
	}
	if err == nil {
		err = f.rename(ctx, v)
	}
	if err == nil {
		err = f.list(ctx, v)
	}
	if err != nil {
		f.t.Fatalf("%v\n%s", err, v.log.tail(30))
	}
	for _, name := range f.pods {
		p, err := f.startPod(name)
		if err != nil {
			f.t.Fatal(err)
		}
		if err = f.allKnown(ctx, p); err == nil {
			err = f.compare(ctx, p, name)
		}
		if err != nil {
			f.t.Errorf("%s: %v\n%s", name, err, p.log.tail(30))
		}
		defer func() { _ = p.kill() }()
	}
	eventually(f.t, "every sidecar is connected, once, and at the hub's position", func() error {
		a, err := v.about.GetStatus(ctx, connect.NewRequest(&adminv1.GetStatusRequest{}))
		if err != nil {
			return err
		}
		seen := map[string]int{}
		for _, r := range a.Msg.GetReplicas() {
			if r.GetConnected() && r.GetPosition().GetRevision() == f.revision {
				seen[r.GetName()]++
			}
		}
		for _, name := range f.pods {
			if seen[name] != 1 {
				return fmt.Errorf("%s is there %d times: %v", name, seen[name], a.Msg.GetReplicas())
			}
		}
		return nil
	})
}

// list compares the keys of the hub with the model.
func (f *killedFleet) list(ctx context.Context, v *victim) error {
	want := map[string]string{}
	for _, k := range f.live {
		want[k.id] = "active"
	}
	for _, k := range f.dead {
		want[k.id] = "revoked"
	}
	wrong := 0
	err := v.list(ctx, &adminv1.ListKeysRequest{}, func(k *adminv1.Key) {
		if want[k.GetId()] != k.GetStatus() {
			wrong++
		}
		delete(want, k.GetId())
	})
	if err == nil && wrong+len(want) > 0 {
		err = fmt.Errorf("LOST: %d keys of the hub aren't what they should be, and %d are missing", wrong, len(want))
	}
	return err
}

// allKnown waits until a sidecar is where the hub is, and presents tokens to it.
func (f *killedFleet) allKnown(ctx context.Context, p *pod) error {
	if err := p.awaitRevision(ctx, f.revision); err != nil {
		return err
	}
	for _, k := range f.live {
		if got, err := f.current(ctx, p, k.token); err != nil || got != http.StatusOK {
			return fmt.Errorf("LOST: a live token is answered %d, %w", got, err)
		}
	}
	for _, token := range f.deadAt(f.revision, 300, 300) {
		if got, err := f.current(ctx, p, token); err != nil || got != http.StatusUnauthorized {
			return fmt.Errorf("REVIVED: a revoked token is answered %d, %w", got, err)
		}
	}
	return nil
}

// current is what a sidecar answers that holds a lease. On a busy machine one ends before the next begins, now and then.
func (f *killedFleet) current(ctx context.Context, p *pod, token string) (got int, err error) {
	eventually(f.t, "the sidecar answers", func() error {
		if got, err = p.ask(ctx, kodeyTeam, token); err == nil && got == http.StatusServiceUnavailable {
			return fmt.Errorf("a token is answered %d", got)
		}
		return nil
	})
	return got, err
}
