package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/internal/oracle"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// settle finds out what became of the writes that no answer came for.
func (h *history) settle(ctx context.Context, v *victim) error {
	for _, w := range h.writers {
		if w.pending == nil {
			continue
		}
		done, err := w.pending.found(ctx, v)
		if err != nil {
			return err
		}
		kind := w.pending.kind()
		h.inFlight++
		if done {
			h.done[kind]++
			h.revision++
		} else {
			h.undone[kind]++
		}
		w.pending = nil
	}
	return nil
}

// verify compares what the process has with the model: what was written to
// since the last kill, the whole directory, all policies, and the numbers.
func (h *history) verify(ctx context.Context, v *victim, status *adminv1.GetStatusResponse) error {
	live := 0
	for _, w := range h.all() {
		live += len(w.alive)
	}
	switch at := status.GetPosition(); {
	case at.GetEpoch() != h.epoch:
		return fmt.Errorf("LOST: the epoch is %d and was %d", at.GetEpoch(), h.epoch)
	case at.GetRevision() != h.revision:
		// Each write that was acknowledged or found done is one revision, and nothing else is.
		return fmt.Errorf("LOST: the store is at revision %d, and what is done makes %d", at.GetRevision(), h.revision)
	case status.GetKeys() != uint64(live):
		return fmt.Errorf("LOST: %d keys are not revoked, and %d should be", status.GetKeys(), live)
	}
	for _, w := range h.all() {
		for k := range w.touched {
			if err := h.verifyKey(ctx, v, k); err != nil {
				return err
			}
		}
	}
	answer, err := v.dir.GetDirectory(ctx, connect.NewRequest(&adminv1.GetDirectoryRequest{}))
	if err != nil {
		return err
	}
	if there := read(answer.Msg.GetDirectory()); !maps.EqualFunc(there, h.people, same) {
		return fmt.Errorf("LOST: the directory is\n%v\nand should be\n%v", answer.Msg.GetDirectory(), h.people.directory())
	}
	policies, err := v.policies(ctx)
	if err == nil && !maps.Equal(policies, h.policies) {
		err = fmt.Errorf("LOST: the policies are %v and should be %v", policies, h.policies)
	}
	return err
}

func (h *history) verifyKey(ctx context.Context, v *victim, k *ownKey) error {
	id := k.shown.GetId()
	answer, err := v.keys.GetKey(ctx, connect.NewRequest(&adminv1.GetKeyRequest{Id: id}))
	if err != nil {
		return fmt.Errorf("LOST: %s: %w", id, err)
	}
	if got := withoutUse(answer.Msg.GetKey()); !proto.Equal(got, k.shown) {
		return fmt.Errorf("LOST: the key is\n%v\nand should be\n%v", got, k.shown)
	}
	if !k.kind.reveals || k.revoked() {
		return nil
	}
	// Its token is written beside the key: they must fit.
	answer, err = v.keys.GetKey(ctx, connect.NewRequest(&adminv1.GetKeyRequest{Id: id, Reveal: true}))
	if err != nil {
		return fmt.Errorf("HALF: the token of %s: %w", id, err)
	}
	token := answer.Msg.GetKey().GetToken()
	if k.current == "" {
		k.current = token
	}
	if token != k.current || !strings.HasSuffix(token, k.shown.GetLast4()) {
		return fmt.Errorf("HALF: the token that was kept of %s is not its token", id)
	}
	return nil
}

// verifyAll compares every key with the model, and finds those that it doesn't know.
func (h *history) verifyAll(ctx context.Context, v *victim) error {
	known := map[string]*ownKey{}
	for _, w := range h.all() {
		maps.Copy(known, w.byID)
	}
	n, wrong := 0, error(nil)
	err := v.list(ctx, &adminv1.ListKeysRequest{}, func(got *adminv1.Key) {
		withoutUse(got)
		n++
		k := known[got.GetId()]
		switch {
		case k == nil:
			wrong = fmt.Errorf("HALF: nobody made the key\n%v", got)
		case !proto.Equal(got, k.shown):
			wrong = fmt.Errorf("LOST: the key is\n%v\nand should be\n%v", got, k.shown)
		}
	})
	switch {
	case err != nil:
		return err
	case wrong != nil:
		return wrong
	case n != len(known):
		return fmt.Errorf("LOST: there are %d keys, and %d should be", n, len(known))
	}
	return nil
}

// presented is a token, and whether it opens anything.
type presented struct {
	k     *ownKey
	token string
	dead  bool // never again
	opens bool
}

// tokens are those of a key that are known.
func (h *history) tokens(k *ownKey) []presented {
	var all []presented
	for _, token := range k.dead {
		all = append(all, presented{k, token, true, false})
	}
	owner := k.shown.GetTenant() + k.shown.GetPrincipal()
	opens := (k.shown.GetStatus() == "active" || k.shown.GetStatus() == "retiring") && h.people.active(owner) &&
		(k.kind.chosen == nil || slices.Contains(k.shown.GetScopes(), "knowledge:read"))
	for _, token := range []string{k.current, k.retired} {
		if token != "" {
			all = append(all, presented{k, token, false, opens})
		}
	}
	return all
}

// sample picks keys: those that were written to, and others, at random.
func (h *history) sample(r *rand.Rand, touched, others int) []*ownKey {
	var some []*ownKey
	for _, w := range h.all() {
		for k := range w.touched {
			some = append(some, k)
		}
	}
	r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	some = some[:min(len(some), touched)]
	for range others {
		writers := h.all()
		if w := writers[r.IntN(len(writers))]; len(w.alive) > 0 {
			some = append(some, w.alive[r.IntN(len(w.alive))])
		}
		if len(h.ended) > 0 {
			some = append(some, h.ended[r.IntN(len(h.ended))])
		}
	}
	return some
}

// present sends tokens of keys to Check, as Envoy would.
func (h *history) present(ctx context.Context, v *victim, keys []*ownKey) error {
	for _, k := range keys {
		for _, p := range h.tokens(k) {
			path := k.kind.path
			if strings.Contains(path, "%s") {
				_, name, _ := strings.Cut(k.shown.GetTenant(), ":")
				path = fmt.Sprintf(path, name)
			}
			q := oracle.Request{Method: "GET", Host: k.kind.host, Path: path, Headers: []oracle.Header{{Name: "authorization", Value: "Bearer " + p.token}}}
			got, err := v.check.Check(ctx, checkRequest(q), grpc.WaitForReady(true))
			if err != nil {
				return fmt.Errorf("Check: %w", err)
			}
			h.presented++
			status := int(got.GetDeniedResponse().GetStatus().GetCode())
			switch {
			case p.dead && status != 401:
				return fmt.Errorf("LOST: a token that ended is answered %d (%v): %v", status, got.GetDynamicMetadata(), k.shown)
			case p.opens != (got.GetDeniedResponse() == nil), !p.opens && status != 401 && status != 403:
				return fmt.Errorf("LOST: a token of this key should be let through (%t), and is answered %d (%v): %v", p.opens, status, got.GetDynamicMetadata(), k.shown)
			}
		}
	}
	return nil
}

// withoutUse is a key without when it was used, which checks say and no write.
func withoutUse(k *adminv1.Key) *adminv1.Key {
	k.LastUsedAt = nil
	return k
}
