package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/latchkey/latchkey/bench/proc"
	"github.com/latchkey/latchkey/internal/freeport"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
)

// rosterName is the file in which a hub remembers its replicas: those of the measurement before are none of the next.
const rosterName = "latchkey.db.replicas"

// hub is a `latchkey serve` with a listener for replicas.
type hub struct {
	*proc.Child
	*debugPort
	store *store
	admin *caller
	at    string // --hub-listen
	net   string
	addr  string
	tls   *tls.Config // of a client; nil over a Unix socket
}

// startHub starts a hub on a store and returns once it answers.
func (f *fleet) startHub(ctx context.Context, s *store, l link) (_ *hub, err error) {
	if err := os.Remove(filepath.Join(s.dir, rosterName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	h := &hub{store: s, debugPort: newDebugPort(f.socket()), admin: newCaller(filepath.Join(s.dir, "admin.sock"))}
	args := []string{"serve", "--policy", f.policy, "--data", s.dir, "--listen", "unix:" + f.socket(), "--http", "unix:" + h.path}
	if l == overTLS {
		if h.addr, err = freeport.Address(); err != nil {
			return nil, err
		}
		h.net, h.at, h.tls = "tcp", h.addr, f.certificates.client
		args = append(args, "--config", f.certificates.hub)
	} else {
		h.net, h.addr = "unix", f.socket()
		h.at = "unix:" + h.addr
	}
	if h.Child, err = f.child("hub", f.options.latchkey, append(args, "--hub-listen", h.at)...); err != nil {
		return nil, err
	}
	if err := h.Await(ctx, func() error { return h.serving(ctx) }); err != nil {
		h.End()
		return nil, err
	}
	return h, nil
}

// dial connects as a replica does.
func (h *hub) dial(ctx context.Context) (net.Conn, error) {
	if h.tls == nil {
		return (&net.Dialer{}).DialContext(ctx, h.net, h.addr)
	}
	return (&tls.Dialer{Config: h.tls}).DialContext(ctx, h.net, h.addr)
}

// position asks where the hub is.
func (h *hub) position(ctx context.Context) (_ *logv1.Position, err error) {
	by := insecure.NewCredentials()
	if h.tls != nil {
		by = credentials.NewTLS(h.tls)
	}
	target := h.addr
	if h.net == "unix" {
		target = "unix:" + h.addr
	}
	c, err := grpc.NewClient(target, grpc.WithTransportCredentials(by))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	answer, err := replicav1.NewReplicaServiceClient(c).Locate(ctx, &replicav1.LocateRequest{})
	return answer.GetPosition(), err
}

// revoke revokes a key.
func (h *hub) revoke(ctx context.Context, id string) (*adminv1.RevokeKeyResponse, error) {
	answer := &adminv1.RevokeKeyResponse{}
	return answer, h.admin.call(ctx, "KeyService/RevokeKey", &adminv1.RevokeKeyRequest{Id: id}, answer)
}

// add makes the hub write keys in one revision, whose tokens nobody knows.
func (h *hub) add(ctx context.Context, n int) error {
	q := &adminv1.ImportKeysRequest{}
	for range n {
		q.Keys = append(q.Keys, h.store.newKey())
	}
	answer := &adminv1.ImportKeysResponse{}
	if err := h.admin.call(ctx, "KeyService/ImportKeys", q, answer); err != nil {
		return err
	}
	if len(answer.GetKeys()) != n {
		return fmt.Errorf("importing %d keys: %v", n, answer.GetMistakes())
	}
	return nil
}

// usage is what a process has used and holds.
type usage struct {
	at  time.Time
	cpu time.Duration
	// resident is memory of its own (RssAnon), live what Go has in use of it, stacks included; in bytes.
	resident, live int64
}

// settling is how long a hub gets to give memory back.
const settling = 3 * time.Second

// use returns what the hub has used. settled collects its garbage first.
func (h *hub) use(ctx context.Context, settled bool) (u usage, err error) {
	if settled {
		// What was collected goes back to the machine a while later.
		if err := errors.Join(h.collect(ctx), pause(ctx, settling), h.collect(ctx)); err != nil {
			return u, err
		}
		if u.resident, err = proc.ResidentMemory(h.PID()); err != nil {
			return u, err
		}
		inUse, err := h.metrics(ctx, "go_memstats_heap_alloc_bytes", "go_memstats_stack_inuse_bytes")
		if err != nil {
			return u, err
		}
		u.live = int64(inUse[0] + inUse[1])
	}
	u.at = time.Now()
	u.cpu, err = proc.CPUTime(h.PID())
	return u, err
}
