package replica

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage/tally"
)

// What a replica is told whose report isn't taken.
var (
	errNoUsage    = status.Error(codes.Unimplemented, "this hub takes no usage")
	errUnfollowed = status.Error(codes.FailedPrecondition, "a report of usage comes from a replica that isn't known: it has to say Hello first")
	errReporting  = status.Error(codes.Aborted, "another report of this replica is under way")
)

// ReportUsage takes what a replica counted. Only one that followed lately may report, under its own identity, and once
// at a time: so nobody counts for another, and there are no more senders than replicas.
func (h *Hub) ReportUsage(ctx context.Context, r *replicav1.ReportUsageRequest) (*replicav1.ReportUsageResponse, error) {
	identity, ok := h.identify(ctx)
	if !ok {
		return nil, errStranger
	}
	if h.usage == nil {
		return nil, errNoUsage
	}
	m, name, err := h.reporter(memberKey{identity, r.GetId()})
	if err != nil {
		return nil, err
	}
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		m.reporting = false
	}()
	switch err := h.usage(ctx, tally.Report{Identity: identity, ID: r.GetId(), Name: name, Batch: r.GetBatch()}); {
	case err == nil:
		return &replicav1.ReportUsageResponse{}, nil
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case errors.Is(err, tally.ErrInvalid):
		return nil, status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, tally.ErrSenders):
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	}
	h.log.Debug("a report of usage isn't taken", "replica", name, "error", err)
	return nil, status.Error(codes.Unavailable, "the hub can't write usage down: its log tells why")
}

// reporter returns the replica that begins to report, and its name.
func (h *Hub) reporter(key memberKey) (*member, string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.members[key]
	switch {
	case m == nil:
		return nil, "", errUnfollowed
	case m.reporting:
		return nil, "", errReporting
	}
	m.reporting = true
	return m, m.name, nil
}

// errNoHub is returned where no hub has fed this replica yet.
var errNoHub = errors.New("no hub feeds this replica yet")

// ReportUsage sends a batch of counts to the hub that feeds this replica, or did last, and returns nil once the hub has
// it for good.
func (f *Follower) ReportUsage(ctx context.Context, m *replicav1.UsageBatch) error {
	f.mu.Lock()
	hub := f.fed
	f.mu.Unlock()
	if hub.Connection == nil {
		return errNoHub
	}
	_, err := replicav1.NewReplicaServiceClient(hub.Connection).ReportUsage(ctx, &replicav1.ReportUsageRequest{Id: f.memory.id, Batch: m})
	return err
}

// RefusedUsage reports whether an error of ReportUsage says that the hub will never take the batch.
func RefusedUsage(err error) bool { return status.Code(err) == codes.InvalidArgument }
