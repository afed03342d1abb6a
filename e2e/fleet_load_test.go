package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/internal/oracle"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const (
	fleetWriters  = 6
	checksApart   = 30 * time.Millisecond // by each of the two who check at a place
	checkPatience = 500 * time.Millisecond
	recentFor     = 10 * time.Second // how long a key that was revoked is checked as often as one that lives
)

// check asks a place about a key, as Envoy would, and notes what it says.
func (f *fleet) check(n *node, k *fleetKey) standing {
	ctx, cancel := context.WithTimeout(f.ctx, checkPatience)
	defer cancel()
	call := f.now()
	got, err := n.check.Check(ctx, checkRequest(oracle.Request{
		Method: "GET", Host: kodeyTeam.host, Path: kodeyTeam.path, Headers: []oracle.Header{{Name: "authorization", Value: "Bearer " + k.token}},
	}))
	s := sight{call: call, answered: f.now(), is: unavailable}
	reason := "no answer"
	if err == nil {
		reason = got.GetDynamicMetadata().GetFields()["reason"].GetStringValue()
		status := int(got.GetDeniedResponse().GetStatus().GetCode())
		switch {
		case got.GetDeniedResponse() == nil && got.GetOkResponse() != nil:
			s.is = live
		case status == 401 && reason == "KEY_DISABLED":
			s.is = disabled
		case status == 401 && reason == "KEY_REVOKED":
			s.is = revoked
		case status == 401 && reason == "KEY_UNKNOWN":
			s.is = absent
		case status == 503:
		default:
			f.fail(fmt.Errorf("%s answers %d (%s) for %s", n.name, status, reason, k.id))
		}
	}
	if s.is != unavailable {
		reason = s.is.String()
		k.saw(n.name, s)
	}
	f.count("check at "+n.kind()+": "+reason, 1)
	return s.is
}

// inspect checks a key at a place at the moment from which the place must know something.
func (f *fleet) inspect(n *node, k *fleetKey, at time.Duration) {
	f.timed.Add(1)
	time.AfterFunc(at-f.now(), func() {
		defer f.timed.Done()
		if f.ctx.Err() == nil {
			f.check(n, k)
		}
	})
}

// keepChecking checks keys at a place until the load ends: mostly those that live, or did a moment ago.
func (f *fleet) keepChecking(n *node, r *rand.Rand) {
	tick := time.NewTicker(checksApart)
	defer tick.Stop()
	for f.loaded(tick.C) {
		if k := f.pick(r); k != nil {
			f.check(n, k)
		}
		if n == f.hub && r.IntN(3) == 0 {
			f.show(f.pick(r))
		}
	}
}

// loaded waits for a tick, and reports whether the load goes on.
func (f *fleet) loaded(tick <-chan time.Time) bool {
	select {
	case <-f.unload:
		return false
	case <-tick:
		return true
	}
}

// rest waits for a random while, and reports whether the load goes on.
func (f *fleet) rest(r *rand.Rand, most time.Duration) bool {
	return f.loaded(time.After(time.Duration(r.Int64N(int64(most)))))
}

// show asks the hub for a key by its name, and notes what it says.
func (f *fleet) show(k *fleetKey) {
	if k == nil {
		return
	}
	call := f.now()
	is, err := f.standing(k.id)
	if err != nil {
		f.count("show: no answer", 1)
		return
	}
	k.saw(f.hub.name, sight{call, f.now(), is})
	f.count("show", 1)
}

// standing is what a key is to the hub.
func (f *fleet) standing(id string) (standing, error) {
	a, err := f.keys.GetKey(f.ctx, connect.NewRequest(&adminv1.GetKeyRequest{Id: id}))
	if connect.CodeOf(err) == connect.CodeNotFound {
		return absent, nil
	}
	if err != nil {
		return unavailable, err
	}
	return standingOf(a.Msg.GetKey()), nil
}

func standingOf(k *adminv1.Key) standing {
	switch k.GetStatus() {
	case "active":
		return live
	case "disabled":
		return disabled
	case "revoked":
		return revoked
	}
	return unavailable
}

// keepWriting gives keys their lives, one after the other, until the load ends.
func (f *fleet) keepWriting(r *rand.Rand) {
	for f.rest(r, 300*time.Millisecond) {
		k := f.issue(r)
		if k == nil {
			continue
		}
		for range r.IntN(3) {
			for _, to := range []standing{disabled, live} {
				if f.rest(r, 400*time.Millisecond) {
					f.write(r, k, to)
				}
			}
		}
		f.rest(r, time.Second)
		f.write(r, k, revoked)
	}
}

// issue makes a key. One whose token never arrived is nobody's.
func (f *fleet) issue(r *rand.Rand) *fleetKey {
	f.world.RLock()
	call := f.now()
	a, err := f.keys.CreateKey(f.ctx, connect.NewRequest(&adminv1.CreateKeyRequest{Key: &adminv1.KeyFields{
		Policy: kodeyTeam.policy, Type: kodeyTeam.keyType, Environment: kodeyTeam.environment, Tenant: fleetTenant,
	}}))
	if err != nil {
		f.world.RUnlock()
		f.count("issue: no answer", 1)
		return nil
	}
	k := &fleetKey{id: a.Msg.GetKey().GetId(), token: a.Msg.GetKey().GetToken(), seen: map[string][]sight{}}
	w := f.wrote(k, change{to: live}, call)
	f.add(k)
	f.world.RUnlock()
	f.count("issue", 1)
	f.receipt(r, k, w, a.Msg.GetPosition())
	return k
}

// write changes a key, and finds out what became of that where no answer comes.
func (f *fleet) write(r *rand.Rand, k *fleetKey, to standing) {
	f.world.RLock()
	call := f.now()
	at, err := f.change(k.id, to)
	var w *fleetWrite
	switch {
	case err == nil:
		w = f.wrote(k, change{to: to}, call)
		f.count(to.String(), 1)
	case connect.CodeOf(err) == connect.CodeNotFound, connect.CodeOf(err) == connect.CodeFailedPrecondition:
		f.count(to.String()+": not possible since a restore", 1)
	default:
		w = f.settle(k, to, call)
	}
	f.world.RUnlock()
	if w != nil {
		f.receipt(r, k, w, at)
	}
}

func (f *fleet) change(id string, to standing) (at *adminv1.Position, err error) {
	switch to {
	case disabled:
		var a *connect.Response[adminv1.DisableKeyResponse]
		if a, err = f.keys.DisableKey(f.ctx, connect.NewRequest(&adminv1.DisableKeyRequest{Id: id})); err == nil {
			return a.Msg.GetPosition(), nil
		}
	case live:
		var a *connect.Response[adminv1.EnableKeyResponse]
		if a, err = f.keys.EnableKey(f.ctx, connect.NewRequest(&adminv1.EnableKeyRequest{Id: id})); err == nil {
			return a.Msg.GetPosition(), nil
		}
	default:
		var a *connect.Response[adminv1.RevokeKeyResponse]
		if a, err = f.keys.RevokeKey(f.ctx, connect.NewRequest(&adminv1.RevokeKeyRequest{Id: id})); err == nil {
			return a.Msg.GetPosition(), nil
		}
	}
	return nil, err
}

// settle looks whether a write was done that no answer came for, once the hub answers again: it isn't under way then, since
// only the end of a process takes an answer away. It returns nil for one that wasn't.
func (f *fleet) settle(k *fleetKey, to standing, call time.Duration) *fleetWrite {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for f.ctx.Err() == nil {
		is, err := f.standing(k.id)
		switch {
		case err != nil:
			<-tick.C
			continue
		case is != to:
			f.count(to.String()+": in flight at a kill, not done", 1)
			return nil
		}
		f.count(to.String()+": in flight at a kill, done", 1)
		return f.wrote(k, change{to: to}, call)
	}
	return nil
}

// receipt asks who knows a write, and sees to it that each replica is checked at the moment from which it must.
func (f *fleet) receipt(r *rand.Rand, k *fleetKey, w *fleetWrite, at *adminv1.Position) {
	defer func() {
		for _, s := range f.sidecars {
			f.inspect(s, k, w.acked+fleetLease)
		}
	}()
	if r.IntN(4) == 0 && w.to != revoked {
		return // nobody always waits
	}
	wait := [...]time.Duration{0, 200 * time.Millisecond, fleetLease + 2*time.Second}[r.IntN(3)]
	a, err := f.about.AwaitReplicas(f.ctx, connect.NewRequest(&adminv1.AwaitReplicasRequest{Position: at, Timeout: durationpb.New(wait)}))
	if err != nil {
		f.count("receipt: no answer", 1)
		return
	}
	got := a.Msg.GetReceipt()
	switch {
	case got.GetUncertain():
		f.fail(fmt.Errorf("the hub has lost its roster: %v", got))
		return
	case got.GetComplete():
		f.count("receipt: complete", 1)
	default:
		f.count("receipt: with missing", 1)
	}
	promise := f.promised(k, w, got)
	for _, s := range f.sidecars {
		f.inspect(s, k, promise[s.name])
	}
}
