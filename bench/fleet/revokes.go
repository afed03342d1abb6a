package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/bench/stock"
	"github.com/latchkey/latchkey/internal/envoytest"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const (
	// warmups are revokes before those that count.
	warmups = 10
	// checksPerSecond go on through all Envoys together.
	checksPerSecond = 500
)

// measureRevokes measures from revoking a key to its end everywhere, for each size of a fleet.
func (f *fleet) measureRevokes(ctx context.Context) error {
	s, err := f.store(ctx, f.options.keys)
	if err != nil {
		return err
	}
	for _, l := range f.options.links {
		for _, n := range f.options.fleets {
			if err := f.measureFleet(ctx, s, l, n); err != nil {
				return fmt.Errorf("%d replicas over %s: %w", n, l, err)
			}
		}
	}
	return nil
}

// measureFleet measures one size of a fleet.
func (f *fleet) measureFleet(ctx context.Context, s *store, l link, n int) (err error) {
	h, err := f.startHub(ctx, s, l)
	if err != nil {
		return err
	}
	defer h.End()
	upstream, err := envoytest.StartUpstream()
	if err != nil {
		return err
	}
	defer upstream.Close()
	f.say("revokes: %d replicas over %s", n, l)
	m := &revoking{hub: h}
	defer func() {
		for _, g := range m.real {
			g.end()
		}
		m.light.end()
	}()
	for i := range min(f.options.real, n) {
		g, err := f.startGuarded(ctx, h, fmt.Sprintf("real-%d", i), upstream.Addr())
		if err != nil {
			return err
		}
		m.real = append(m.real, g)
	}
	if m.light, err = follow(ctx, h, n-len(m.real)); err != nil {
		return err
	}

	going, stop := context.WithCancel(ctx)
	defer stop()
	var traffic sync.WaitGroup
	answered, wrong := make([]int, len(m.real)), make([]error, len(m.real))
	for i, g := range m.real {
		traffic.Go(func() { answered[i], wrong[i] = g.traffic(going, checksPerSecond/len(m.real)) })
	}
	began := time.Now()
	before, err := busy()
	if err != nil {
		return err
	}
	r := &revokes{Link: l, Replicas: n, Real: len(m.real)}
	tick := time.NewTicker(max(f.options.every, time.Microsecond))
	defer tick.Stop()
	for i := range warmups + f.options.revokes {
		<-tick.C
		t, err := m.one(ctx, s)
		if err != nil {
			return err
		}
		if i >= warmups {
			r.add(t)
		}
	}
	stop()
	traffic.Wait()
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("requests through Envoy: %w", err)
	}
	for _, n := range answered {
		r.Checks += n
	}
	after, err := busy()
	if err != nil {
		return err
	}
	r.Busy = (after - before).Seconds() / time.Since(began).Seconds()
	f.report.Revokes = append(f.report.Revokes, r)
	return nil
}

// revoking is a hub with its replicas.
type revoking struct {
	hub   *hub
	real  []*guarded
	light *crowd
}

// times are how long it took from the call of RevokeKey.
type times struct{ answer, light, real, receipt time.Duration }

// one revokes one key.
func (m *revoking) one(ctx context.Context, s *store) (t times, err error) {
	c, err := s.victim()
	if err != nil {
		return t, err
	}
	for _, g := range m.real {
		if status, err := g.ask(ctx, c); err != nil || status != http.StatusOK {
			return t, fmt.Errorf("key %d is answered %d before it is revoked: %w", s.next-1, status, err)
		}
	}
	dead := make([]time.Time, len(m.real))
	errs := make([]error, len(m.real)+1)
	w := m.light.expect(c.ID)
	var all sync.WaitGroup
	began := time.Now()
	for i, g := range m.real {
		all.Go(func() { dead[i], errs[i] = g.awaitDead(ctx, c) })
	}
	answer, err := m.hub.revoke(ctx, c.ID)
	if err != nil {
		all.Wait()
		return t, err
	}
	t.answer = time.Since(began)
	all.Go(func() {
		t.receipt, errs[len(m.real)] = m.receipt(ctx, answer.GetPosition(), began)
	})
	last, err := m.light.await(ctx, w)
	all.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return t, err
	}
	t.light = max(0, last.Sub(began)) // of none it was before
	for _, at := range dead {
		t.real = max(t.real, at.Sub(began))
	}
	return t, nil
}

// receipt waits for the receipt of a write, and returns how long it took.
func (m *revoking) receipt(ctx context.Context, at *adminv1.Position, began time.Time) (time.Duration, error) {
	answer := &adminv1.AwaitReplicasResponse{}
	if err := m.hub.admin.call(ctx, "ServerService/AwaitReplicas", &adminv1.AwaitReplicasRequest{Position: at, Timeout: durationpb.New(soon)}, answer); err != nil {
		return 0, err
	}
	took := time.Since(began)
	r := answer.GetReceipt()
	if want := len(m.real) + len(m.light.followers); !r.GetComplete() || int(r.GetApplied()) != want {
		return 0, fmt.Errorf("the receipt says %d of %d replicas, and there are %d", r.GetApplied(), r.GetReplicas(), want)
	}
	return took, nil
}

// quiet revokes keys one after the other, with nobody looking but the light followers, and returns when the last of them
// had the last one.
func (m *revoking) quiet(ctx context.Context, s *store, n int) error {
	for range n {
		c, err := s.victim()
		if err != nil {
			return err
		}
		if err := m.quietly(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (m *revoking) quietly(ctx context.Context, c stock.Credential) error {
	w := m.light.expect(c.ID)
	if _, err := m.hub.revoke(ctx, c.ID); err != nil {
		return err
	}
	_, err := m.light.await(ctx, w)
	return err
}
