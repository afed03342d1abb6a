package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/serve"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/replica"
	"github.com/latchkey/latchkey/storage"
)

// localFollower is the identity of whoever opens the hub's own Unix socket: its mode lets in the user of the
// process and root alone.
const localFollower = "local"

// openHub makes the process a hub, if it is to be one. One that was a hub before, and has replicas that may hold a lease,
// counts them in receipts although it feeds none any more.
func (p *process) openHub() (err error) {
	p.hub, err = replica.NewHub(replica.HubOptions{DB: p.db, Folder: p.dataFolder(), Identify: p.follower, Usage: p.usage.Report, Log: p.log})
	if err != nil {
		return err
	}
	if p.config.hubListen == (serve.Address{}) {
		if len(p.hub.Replicas()) == 0 && len(p.hub.Problems()) == 0 {
			p.hub = nil
			return nil
		}
		p.log.Warn("this process fed replicas before and feeds none now: receipts count those that may hold a lease until it is over, or they are forgotten (latchkey replicas forget)",
			"replicas", len(p.hub.Replicas()))
		return nil
	}
	options := replica.ServerOptions()
	if !p.config.hubListen.IsUnix() {
		options = append(options, grpc.Creds(p.link.ServerCredentials(p.followers)))
	}
	p.streams = serve.NewStreams(options...)
	p.hub.Register(p.streams)
	return nil
}

// follower returns who calls the hub, and whether he may follow.
func (p *process) follower(ctx context.Context) (identity string, ok bool) {
	if p.config.hubListen.IsUnix() {
		return localFollower, true
	}
	who, ok := link.Peer(ctx)
	if !ok {
		return "", false
	}
	return p.followers.Now().Find(who)
}

// longestWait is how long a call may wait for replicas.
const longestWait = 24 * time.Hour

// written returns the position that replicas must have for a write that is asked for, of a store at a position. Those
// of a write that isn't the newest have no digest. One that isn't written is an error: a receipt of it would be wrong
// as soon as it is.
func written(at storage.Position, asked *adminv1.Position) (storage.Position, error) {
	epoch, revision := asked.GetEpoch(), asked.GetRevision()
	switch {
	case epoch == 0 && revision == 0:
		return at, nil
	case epoch > at.Epoch:
		return at, fmt.Errorf("epoch %d isn't begun: the store is at %s", epoch, at)
	case epoch != 0 && epoch < at.Epoch:
		// What the restore kept of that epoch is in the first revision of the present one.
		return storage.Position{Epoch: at.Epoch}, nil
	case revision > at.Revision:
		return at, fmt.Errorf("revision %d isn't written: the store is at %s", revision, at)
	case revision == at.Revision:
		return at, nil
	}
	return storage.Position{Epoch: at.Epoch, Revision: revision}, nil
}

// AwaitReplicas waits until no replica may answer without knowing a write.
func (s statusService) AwaitReplicas(ctx context.Context, r *connect.Request[adminv1.AwaitReplicasRequest]) (*connect.Response[adminv1.AwaitReplicasResponse], error) {
	at, err := written(s.p.db.Position(), r.Msg.GetPosition())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	wait := r.Msg.GetTimeout().AsDuration()
	if wait < 0 || wait > longestWait {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("the time to wait must be from 0s to %s", longestWait))
	}
	if s.p.hub == nil { // nobody can have followed since the start, nor was there anybody before
		receipt := replica.Receipt{Position: at, Ends: time.Now()}
		return connect.NewResponse(&adminv1.AwaitReplicasResponse{Receipt: shownReceipt(&receipt)}), nil
	}
	limit, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	receipt := s.p.hub.Await(limit, at)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return connect.NewResponse(&adminv1.AwaitReplicasResponse{Receipt: shownReceipt(&receipt)}), nil
}

// ForgetReplica takes a replica that is gone for good out of the count.
func (s statusService) ForgetReplica(_ context.Context, r *connect.Request[adminv1.ForgetReplicaRequest]) (*connect.Response[adminv1.ForgetReplicaResponse], error) {
	if s.p.hub == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("this process feeds no replicas: start it with --hub-listen"))
	}
	forget := s.p.hub.Forget
	if r.Msg.GetDryRun() {
		forget = s.p.hub.MayForget
	}
	found, err := forget(r.Msg.GetId(), r.Msg.GetIdentity(), r.Msg.GetGone())
	switch {
	case errors.Is(err, replica.ErrNoReplica):
		return nil, connect.NewError(connect.CodeNotFound, err)
	case errors.Is(err, replica.ErrIdentity):
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	case errors.Is(err, replica.ErrConnected), errors.Is(err, replica.ErrLease):
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	case err != nil:
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	if !r.Msg.GetDryRun() {
		s.p.log.Info("a replica was forgotten", "id", found.ID, "name", found.Name, "identity", found.Identity, "gone", r.Msg.GetGone())
	}
	return connect.NewResponse(&adminv1.ForgetReplicaResponse{Replica: shownReplica(&found)}), nil
}

func shownReceipt(r *replica.Receipt) *adminv1.Receipt {
	m := &adminv1.Receipt{
		Position: shownPosition(r.Position),
		Applied:  uint32(r.Applied), Replicas: uint32(r.Replicas), Complete: r.Complete(), Uncertain: r.Forgot,
	}
	if r.Position.Digest == (storage.Digest{}) {
		m.Position.Digest = ""
	}
	if !r.Never && !r.Forgot {
		m.LeasesEnd = timestamppb.New(r.Ends)
	}
	for i := range r.Missing {
		m.Missing = append(m.Missing, shownReplica(&r.Missing[i]))
	}
	return m
}

func shownReplica(r *replica.Replica) *adminv1.Replica {
	m := &adminv1.Replica{
		Id: r.ID, Name: r.Name, Identity: r.Identity, Version: r.Version, Position: shownPosition(r.Position),
		Connected: r.Connected, HoldsLease: r.Holds, SeenAt: timestamppb.New(r.Seen), Problem: r.Trouble,
	}
	if r.Limit > 0 {
		m.MaxStaleness = durationpb.New(r.Limit)
	}
	if !r.Proven.IsZero() {
		m.Age = durationpb.New(max(time.Since(r.Proven), 0))
	}
	if !r.Ends.IsZero() {
		m.LeaseEnds = timestamppb.New(r.Ends)
	}
	return m
}
