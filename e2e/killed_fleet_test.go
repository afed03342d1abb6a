package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// killedKey is a key of a fleet.
type killedKey struct {
	id, token string
	revoked   uint64 // revision; 0 for a live one
}

// killedFleet is a hub and its sidecars, and what was acknowledged to whom. Each key is made by one write and revoked by another.
type killedFleet struct {
	t    *testing.T
	dir  string
	pods []string // names of those that count now

	left             atomic.Int64 // kills that are still to come
	hubs, kills      atomic.Int64
	early, anew      atomic.Int64
	checks, stale    atomic.Int64
	receipts, caught atomic.Int64
	done, undone     int

	mu       sync.Mutex
	epoch    uint64
	revision uint64 // of the newest write that was acknowledged, or found
	pending  func() // what the write does that no answer has come of
	live     []killedKey
	dead     []killedKey       // by revision
	applied  map[string]uint64 // the furthest that the hub's status showed, by name of the pod
	promised uint64            // the newest write of which a receipt said that no replica answers without it
	news     chan struct{}     // closed when applied changes
	failed   chan struct{}     // closed by the first error
	alone    chan struct{}     // closed when no sidecar is started any more
}

const (
	fleetPods   = 6
	killedLease = "3s"
	fleetKeys   = 60 // live at a time
)

func newKilledFleet(t *testing.T, kills int) *killedFleet {
	dir := keptFolder(t, "the stores")
	f := &killedFleet{t: t, dir: dir, applied: map[string]uint64{}, news: make(chan struct{}), failed: make(chan struct{}), alone: make(chan struct{})}
	f.left.Store(int64(kills))
	return f
}

// fail ends the test, with what the process said.
func (f *killedFleet) fail(err error, log *logBuffer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.failed:
	default:
		close(f.failed)
	}
	f.t.Errorf("after %d kills: %v\nit said last:\n%s", f.kills.Load(), err, log.tail(30))
}

// over reports whether the killing is done with.
func (f *killedFleet) over() bool {
	select {
	case <-f.failed:
		return true
	default:
		return f.left.Load() <= 0
	}
}

func (f *killedFleet) startHub() (*victim, error) {
	return startVictim(filepath.Join(f.dir, "hub"), "--hub-listen", "unix:"+filepath.Join(f.dir, "hub.sock"))
}

// startPod starts a sidecar on the folder of its name.
func (f *killedFleet) startPod(name string) (*pod, error) {
	return startPod(filepath.Join(f.dir, name), name, "--hub", "unix:"+filepath.Join(f.dir, "hub.sock"), "--max-staleness", killedLease)
}

// load gives the hub a policy, a tenant and keys.
func (f *killedFleet) load() {
	v, err := f.startHub()
	if err != nil {
		f.t.Fatal(err)
	}
	ctx := f.t.Context()
	status, _, err := v.answers(ctx)
	if err == nil {
		f.epoch = status.GetPosition().GetEpoch()
		err = f.loadPolicy(ctx, v)
	}
	if err == nil {
		_, err = v.dir.ApplyDirectory(ctx, connect.NewRequest(&adminv1.ApplyDirectoryRequest{Directory: &directoryv1.Directory{
			Tenants: []*directoryv1.Tenant{{Id: "team:t_1"}},
		}}))
	}
	f.revision = 2
	r := rand.New(rand.NewPCG(1, 1))
	for err == nil && len(f.live) < fleetKeys {
		err = f.create(ctx, v, r)
	}
	if err = errors.Join(err, v.kill()); err != nil {
		f.t.Fatalf("%v\n%s", err, v.log.tail(30))
	}
}

func (f *killedFleet) loadPolicy(ctx context.Context, v *victim) error {
	files := examplePolicies(f.t)
	file := files[slices.IndexFunc(files, func(path string) bool { return strings.Contains(path, "kodey") })]
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = v.policy.ApplyPolicy(ctx, connect.NewRequest(&adminv1.ApplyPolicyRequest{File: file, Source: string(source)}))
	return err
}

// create imports a key, whose token is known even where the answer is lost.
func (f *killedFleet) create(ctx context.Context, v *victim, r *rand.Rand) error {
	k := killedKey{token: kodeyTeam.token(r)}
	fields := kodeyTeam.fields(r, "t_1", "")
	fields.Name, fields.Description, fields.ExpiresAt = k.token[len(k.token)-8:], "", nil
	f.begin(func() { f.live = append(f.live, k) })
	a, err := v.keys.ImportKeys(ctx, connect.NewRequest(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{{Key: fields, Token: k.token}}}))
	if err != nil {
		return err
	}
	if len(a.Msg.GetKeys()) != 1 {
		return fmt.Errorf("an import of one key has %d keys: %v", len(a.Msg.GetKeys()), a.Msg.GetMistakes())
	}
	k.id = a.Msg.GetKeys()[0].GetId()
	return f.acked(a.Msg.GetPosition())
}

// revoke revokes the oldest key whose name is known.
func (f *killedFleet) revoke(ctx context.Context, v *victim) error {
	f.mu.Lock()
	i := slices.IndexFunc(f.live, func(k killedKey) bool { return k.id != "" })
	k := f.live[i]
	f.mu.Unlock()
	f.begin(func() {
		f.live = slices.Delete(f.live, i, i+1)
		k.revoked = f.revision
		f.dead = append(f.dead, k)
	})
	a, err := v.keys.RevokeKey(ctx, connect.NewRequest(&adminv1.RevokeKeyRequest{Id: k.id}))
	if err != nil {
		return err
	}
	return f.acked(a.Msg.GetPosition())
}

// begin notes what a write will do. There is one at a time.
func (f *killedFleet) begin(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = do
}

// acked notes that the write was acknowledged.
func (f *killedFleet) acked(at *adminv1.Position) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.GetEpoch() != f.epoch || at.GetRevision() != f.revision+1 {
		return fmt.Errorf("LOST: a write was acknowledged at %v, after revision %d of epoch %d", at, f.revision, f.epoch)
	}
	f.settle(true)
	return nil
}

func (f *killedFleet) settle(done bool) {
	if f.pending != nil && done {
		f.revision++
		f.pending()
	}
	f.pending = nil
}

// found compares where the hub is after a start with what it had acknowledged.
func (f *killedFleet) found(at *adminv1.Position) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch revision := at.GetRevision(); {
	case at.GetEpoch() != f.epoch:
		return fmt.Errorf("LOST: the epoch is %d and was %d", at.GetEpoch(), f.epoch)
	case revision == f.revision:
		if f.pending != nil {
			f.undone++
		}
		f.settle(false)
	case revision == f.revision+1 && f.pending != nil:
		f.done++
		f.settle(true)
	default:
		return fmt.Errorf("LOST: the hub is at revision %d, and what it acknowledged makes %d", revision, f.revision)
	}
	return nil
}

// watch notes what the hub's status says of its replicas, until the context ends.
func (f *killedFleet) watch(ctx context.Context, v *victim) {
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := v.about.GetStatus(ctx, connect.NewRequest(&adminv1.GetStatusRequest{}))
		if err == nil {
			f.mu.Lock()
			changed := false
			for _, r := range status.Msg.GetReplicas() {
				if at := r.GetPosition().GetRevision(); at > f.applied[r.GetName()] {
					f.applied[r.GetName()], changed = at, true
				}
			}
			if changed {
				close(f.news)
				f.news = make(chan struct{})
			}
			f.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-v.exited:
			return
		case <-tick.C:
		}
	}
}

// receipt waits for a receipt of the newest write.
func (f *killedFleet) receipt(ctx context.Context, v *victim) error {
	f.mu.Lock()
	at := &adminv1.Position{Epoch: f.epoch, Revision: f.revision}
	f.mu.Unlock()
	a, err := v.about.AwaitReplicas(ctx, connect.NewRequest(&adminv1.AwaitReplicasRequest{Position: at, Timeout: durationpb.New(200 * time.Millisecond)}))
	if err == nil && a.Msg.GetReceipt().GetComplete() {
		f.receipts.Add(1)
		f.mu.Lock()
		f.promised = max(f.promised, at.GetRevision())
		f.mu.Unlock()
	}
	return err
}

// deadAt are tokens that were revoked at a revision or before: the newest, and some others.
func (f *killedFleet) deadAt(revision uint64, newest, others int) (tokens []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, _ := slices.BinarySearchFunc(f.dead, revision+1, func(k killedKey, r uint64) int { return int(k.revoked) - int(r) })
	for _, k := range f.dead[max(0, n-newest):n] {
		tokens = append(tokens, k.token)
	}
	for range min(n, others) {
		tokens = append(tokens, f.dead[rand.IntN(n)].token)
	}
	return tokens
}
