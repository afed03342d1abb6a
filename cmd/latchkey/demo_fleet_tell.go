package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/internal/envoytest"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const (
	// fleetPath is what the demo asks for, and fleetLook how often it does while it waits for another answer.
	fleetPath = "/v1/agents"
	fleetLook = 5 * time.Millisecond
)

// tell makes keys, takes one away, and takes the hub away, and prints what each Envoy answers.
func (f *fleet) tell(ctx context.Context) error {
	if err := f.people(ctx, "kodey"); err != nil {
		return err
	}
	f.say("A hub, %d sidecars that follow it, and an Envoy in front of each. To try it yourself:\n\n", fleetSize)
	f.say("  export LATCHKEY_ADMIN=%s\n", f.admin)
	for _, variable := range []string{"KODEY_SECRET", "KODEY_OTHER"} {
		a, err := ask(ctx, f.client.keys.CreateKey, &adminv1.CreateKeyRequest{Key: &adminv1.KeyFields{Policy: "kodey", Type: "secret", Tenant: "team:t_1"}})
		if err != nil {
			return fmt.Errorf("making %s: %w", variable, f.explain(err))
		}
		f.keys[variable] = a.GetKey()
		f.say("  export %s=%s\n", variable, a.GetKey().GetToken())
	}
	f.say("\nA key that was made at the hub opens each Envoy. None of them asks the hub: its sidecar has the key.\n")
	f.say("  curl -i -H 'Host: %s' -H \"Authorization: Bearer $KODEY_SECRET\" http://%s%s\n", kodeyHost, f.pods[0].address(), fleetPath)
	if err := f.until(ctx, "KODEY_SECRET", 200, time.Time{}); err != nil {
		return err
	}
	f.say("\nWho follows, and how current they are:\n  latchkey replicas list\n")
	if err := f.list(ctx); err != nil {
		return err
	}
	if err := f.revoke(ctx); err != nil {
		return err
	}
	return f.cutOff(ctx)
}

// revoke revokes a key and waits for the receipt, while each Envoy is asked again and again.
func (f *fleet) revoke(ctx context.Context) error {
	id := f.keys["KODEY_SECRET"].GetId()
	f.say("\nThe key is revoked, and the command waits until every sidecar knows it:\n  latchkey keys revoke %s --wait\n", id)
	began := time.Now()
	var lines string
	var refused error
	var looking sync.WaitGroup
	looking.Go(func() { lines, refused = f.answers(ctx, "KODEY_SECRET", 401, began) })
	receipt, err := f.revoked(ctx, id, began)
	looking.Wait()
	if err != nil {
		return err
	}
	if !receipt.GetComplete() {
		return fmt.Errorf("%d sidecars don't know of it after %s", len(receipt.GetMissing()), demoStart)
	}
	f.say("Each Envoy refuses it, counted from the command on:\n%s", lines)
	return refused
}

// revoked revokes a key, and prints the receipt.
func (f *fleet) revoked(ctx context.Context, id string, began time.Time) (*adminv1.Receipt, error) {
	a, err := ask(ctx, f.client.keys.RevokeKey, &adminv1.RevokeKeyRequest{Id: id, Note: "demo"})
	if err != nil {
		return nil, f.explain(err)
	}
	written := time.Since(began)
	r, err := ask(ctx, f.server.AwaitReplicas, &adminv1.AwaitReplicasRequest{Position: a.GetPosition(), Timeout: durationpb.New(demoStart)})
	if err != nil {
		return nil, f.explain(err)
	}
	f.say("  ← written after %s; applied by %d of %d replicas that hold a lease after %s\n",
		shortly(written), r.GetReceipt().GetApplied(), r.GetReceipt().GetReplicas(), shortly(time.Since(began)))
	return r.GetReceipt(), nil
}

// cutOff stops the hub until the leases are over, and starts it again.
func (f *fleet) cutOff(ctx context.Context) error {
	f.say("\nThe hub is stopped. The other key still opens each Envoy …\n")
	stopped := time.Now()
	f.hub.End(endTime)
	if err := f.until(ctx, "KODEY_OTHER", 200, time.Time{}); err != nil {
		return err
	}
	f.say("… until the sidecars' leases end, %s after each last asked the hub (--max-staleness %s). From then on it is 503, an outage, and no 401:\n", fleetStaleness, fleetStaleness)
	if err := f.until(ctx, "KODEY_OTHER", 503, stopped); err != nil {
		return err
	}
	f.say("\nThe hub is started again, and they go on from where they were:\n")
	began := time.Now()
	if err := f.startHub(ctx); err != nil {
		return err
	}
	return f.until(ctx, "KODEY_OTHER", 200, began)
}

// list prints the replicas as the command does.
func (f *fleet) list(ctx context.Context) error {
	a, err := ask(ctx, f.server.GetStatus, &adminv1.GetStatusRequest{})
	if err != nil {
		return f.explain(err)
	}
	return printTable(f.out, func(t *tabwriter.Writer) {
		row(t, "  NAME", "STATE", "REVISION", "AGE", "LEASE")
		for _, r := range a.GetReplicas() {
			row(t, "  "+r.GetName(), stateOf(r), fmt.Sprint(r.GetPosition().GetRevision()), ageOf(r), leaseOf(r))
		}
	})
}

// until waits until each Envoy answers with this status to a key, and prints when that was, since a moment if one is given.
func (f *fleet) until(ctx context.Context, variable string, status int, since time.Time) error {
	lines, err := f.answers(ctx, variable, status, since)
	f.say("%s", lines)
	return err
}

// answers waits until each Envoy answers with this status, and returns a line of each.
func (f *fleet) answers(ctx context.Context, variable string, status int, since time.Time) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, demoStart)
	defer cancel()
	lines, errs := make([]string, len(f.pods)), make([]error, len(f.pods))
	var all sync.WaitGroup
	for i, p := range f.pods {
		all.Go(func() {
			if errs[i] = f.first(ctx, p, f.keys[variable].GetToken(), status); errs[i] != nil {
				return
			}
			after := ""
			if !since.IsZero() {
				after = " after " + shortly(time.Since(since))
			}
			lines[i] = fmt.Sprintf("  %s  ← %d%s\n", p.name, status, after)
		})
	}
	all.Wait()
	return strings.Join(lines, ""), errors.Join(errs...)
}

// first asks until the status is the one that is waited for.
func (f *fleet) first(ctx context.Context, p *pod, token string, status int) error {
	tick := time.NewTicker(fleetLook)
	defer tick.Stop()
	for {
		got, err := f.get(ctx, p, token)
		if err == nil && got == status {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s never answered %d: the last answer was %d: %w", p.name, status, got, errors.Join(ctx.Err(), err))
		}
	}
}

// get sends a request to an Envoy, with a token or without.
func (f *fleet) get(ctx context.Context, p *pod, token string) (status int, err error) {
	fields := []envoytest.Field{{Name: "Host", Value: kodeyHost}}
	if token != "" {
		fields = append(fields, envoytest.Field{Name: "Authorization", Value: "Bearer " + token})
	}
	answer, err := envoytest.H1(ctx, p.address(), envoytest.Request("GET", fleetPath, fields, nil))
	return answer.Status, err
}

// shortly is a duration as people read it.
func shortly(d time.Duration) string {
	if d < time.Second {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
