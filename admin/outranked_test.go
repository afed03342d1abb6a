package admin

import (
	"testing"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

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
