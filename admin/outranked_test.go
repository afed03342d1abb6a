package admin

import (
	"os"
	"strings"
	"testing"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// Nor by being shown its token: that of a key which can do more.
func TestNobodyIsShownWhatOutranksHim(t *testing.T) {
	b := withExamples(t)
	source, err := os.ReadFile("../examples/cuneiform/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b.apply(strings.Replace(string(source), "reveal: once", "reveal: always", 1))
	show := func(caller Caller, k *adminv1.Key) error {
		out, err := b.getKey(t.Context(), caller, &adminv1.GetKeyRequest{Id: k.GetId(), Reveal: true})
		if err == nil && out.GetKey().GetToken() != k.GetToken() {
			t.Error("another token was shown")
		}
		return err
	}
	cleos := b.make(as("user:cleo"), `{"policy":"cuneiform","type":"key","environment":"live","tenant":"org:acme","scopes":["agents:write"]}`)
	expect(t, show(as("user:dora"), cleos), ErrRefused, "can do more than user:dora", "agent.delete")
	expect(t, show(as("user:cleo"), cleos), nil)
	expect(t, show(operator, cleos), nil)
}

// Nobody gets at more than he holds by a key that somebody else answers for:
// neither by rotating it, which hands him its token, nor by handing his own
// over to one who may do more.
func TestNobodyIsOutrankedByAKey(t *testing.T) {
	b := withExamples(t)
	const everything = `{"policy":"cuneiform","type":"key","environment":"live","tenant":"org:acme","scopes":["agents:write"]}`
	cleos := b.make(as("user:cleo"), everything) // may delete agents
	doras := b.make(as("user:dora"), everything) // may not
	rotate := func(caller Caller, id string) error {
		_, err := b.rotateKey(t.Context(), caller, &adminv1.RotateKeyRequest{Id: id})
		return err
	}
	handOver := func(caller Caller, id, creator string) error {
		_, err := b.updateKey(t.Context(), caller, &adminv1.UpdateKeyRequest{Id: id, Creator: &creator})
		return err
	}
	expect(t, rotate(as("user:dora"), cleos.GetId()), ErrRefused, "can do more than user:dora", "agent.delete")
	expect(t, rotate(as("user:gina"), doras.GetId()), ErrRefused, "can do more than user:gina", "agents:write")
	expect(t, handOver(as("user:dora"), doras.GetId(), "user:cleo"), ErrRefused, "can do more than user:dora", "agent.delete")
	expect(t, rotate(as("user:cleo"), doras.GetId()), nil)
	expect(t, rotate(as("user:dora"), doras.GetId()), nil)
	expect(t, rotate(operator, cleos.GetId()), nil)
	expect(t, handOver(operator, doras.GetId(), "user:cleo"), nil)
}
