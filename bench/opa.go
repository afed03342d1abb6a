package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/latchkey/latchkey/bench/proc"
	"github.com/latchkey/latchkey/bench/stock"
)

// opaRules is the kodey example in Rego.
//
//go:embed kodey.rego
var opaRules []byte

// opaKey is a key as the rules see it.
type opaKey struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Team string `json:"team,omitempty"`
	User string `json:"user,omitempty"`
}

// opaUser is a person as the rules see one: each owns one team.
type opaUser struct {
	Owns string `json:"owns"`
}

// writeOPA writes the rules and their data. As in Latchkey's store, tokens are known by
// their digests.
func (b *bench) writeOPA(keys int) error {
	data := struct {
		Keys  map[string]opaKey  `json:"keys"`
		Users map[string]opaUser `json:"users"`
	}{map[string]opaKey{}, map[string]opaUser{}}
	for n := range keys {
		c := stock.Nth(n)
		digest := sha256.Sum256([]byte(c.Token))
		k := opaKey{ID: fmt.Sprintf("key_%032x", n), Type: c.Kind, User: c.User}
		if c.User == "" {
			k.Team = c.Team
		} else {
			data.Users[c.User] = opaUser{c.Team}
		}
		data.Keys[hex.EncodeToString(digest[:])] = k
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.file("kodey.rego"), opaRules, 0o600); err != nil {
		return err
	}
	return os.WriteFile(b.file("data.json"), text, 0o600)
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) startOPA(at address) (*proc.Child, error) {
	listen := at.target
	if at.network == "unix" {
		listen = "unix://" + at.target
	}
	config := fmt.Sprintf("plugins:\n  envoy_ext_authz_grpc:\n    addr: %q\n    path: envoy/authz/allow\n    skip-request-body-parse: true\n", listen)
	if err := os.WriteFile(b.file("opa.yaml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return b.child("opa", b.options.opa, "run", "--server", "--addr", "127.0.0.1:0", "--skip-version-check", "--log-level", "error",
		"--config-file", b.file("opa.yaml"), b.file("kodey.rego"), b.file("data.json"))
}
