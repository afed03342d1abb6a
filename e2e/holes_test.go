package e2e

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/envoyconf/lint/linttest"
	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/oracle"
)

// opened is an Envoy with a hole in its configuration, or the same without.
type opened struct {
	*mesh
	pk, sk string // tokens of kodey: the first opens /v1/chat only
}

// proof is what somebody does with a hole. through says what got through that
// must not; empty where nothing did.
type proof struct {
	hole    string
	down    bool                                         // Latchkey doesn't run
	admin   bool                                         // the hole brings an admin interface of its own
	closing func(config string) string                   // what closes the hole where it isn't what is printed
	moved   func(t *testing.T, config, pk string) string // what the hole needs to be on this machine
	through func(*testing.T, opened) string
}

// by moves an address, or another text, of a hole.
func by(old, new string) func(*testing.T, string, string) string {
	return func(_ *testing.T, config, _ string) string { return strings.Replace(config, old, new, 1) }
}

const kodeyHost = "api.kodey.example"

// get sends a request to a listener and returns what the upstream got.
func (o opened) get(t *testing.T, listener, host, path string, headers ...string) []envoytest.Record {
	t.Helper()
	fields := []envoytest.Field{{Name: "Host", Value: host}, {Name: "Connection", Value: "close"}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		fields = append(fields, envoytest.Field{Name: name, Value: value})
	}
	o.up.Take("")
	if _, err := envoytest.H1(t.Context(), o.envoy.Addr(listener), envoytest.Request("GET", path, fields, nil)); err != nil {
		t.Fatal(err)
	}
	return o.up.Take("")
}

// awaitHealth waits until Envoy has found Latchkey to be well: whether it then asks is what is tested.
func (o opened) awaitHealth(t *testing.T) {
	t.Helper()
	eventually(t, "Envoy finds latchkey healthy", func() error {
		n, err := o.envoy.Stat(t.Context(), "cluster.latchkey.membership_healthy")
		if err == nil && n != 1 {
			err = fmt.Errorf("%d healthy members", n)
		}
		return err
	})
}

// unasked is a request without a key that reaches the upstream all the same.
func unasked(path string, headers ...string) func(*testing.T, opened) string {
	return func(t *testing.T, o opened) string {
		for _, r := range o.get(t, string(envoytest.Hardened), kodeyHost, path, headers...) {
			return "without a key, " + r.Line
		}
		return ""
	}
}

// forged is a header of the client that reaches the upstream beside a good key.
func forged(name, value string) func(*testing.T, opened) string {
	return func(t *testing.T, o opened) string {
		all := o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/chat", "authorization: Bearer "+o.pk, name+": "+value)
		for _, r := range all {
			if slices.Contains(r.Values(name), value) {
				return "as the client wrote it, " + name
			}
		}
		return ""
	}
}

// elsewhere is a request that reaches the upstream by another path than was
// checked.
func elsewhere(t *testing.T, o opened) string {
	for _, r := range o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/chat", "authorization: Bearer "+o.pk) {
		if r.Path != "/v1/chat" {
			return "with a key for /v1/chat, " + r.Line
		}
	}
	return ""
}

// said waits until Envoy has logged a request, and looks for what mustn't be in the log.
func (o opened) said(t *testing.T, path, secret string) string {
	t.Helper()
	eventually(t, "the access log has "+path, func() error {
		if !strings.Contains(o.envoy.LogTail(), path) {
			return fmt.Errorf("it has not")
		}
		return nil
	})
	if strings.Contains(o.envoy.LogTail(), secret) {
		return "in the log, a key"
	}
	return ""
}

var proofs = []proof{
	{hole: "failure-mode-allow", down: true, through: unasked("/v1/agents")},
	{hole: "shadow-mode", through: unasked("/v1/agents")},
	{hole: "filter-disabled", through: unasked("/v1/agents")},
	{hole: "filter-matched", through: unasked("/v1/agents", "x-skip: yes")},
	{hole: "filter-enabled", through: func(t *testing.T, o opened) string {
		for range 64 { // half of them
			if got := unasked("/v1/agents")(t, o); got != "" {
				return got
			}
		}
		return ""
	}},
	{hole: "paths-found-later", through: unasked("/nowhere")},
	{hole: "prefix-unchecked", through: unasked("/publications/secret")},
	{hole: "pattern-unchecked", through: unasked("/v1/members/1.png")},
	{hole: "lua-after", through: elsewhere},
	{hole: "lua-within", through: elsewhere},
	{
		hole:  "listener-without-check",
		moved: by("port_value: 10001", "port_value: 0"),
		through: func(t *testing.T, o opened) string {
			if !o.envoy.Has("internal") {
				return ""
			}
			for _, r := range o.get(t, "internal", kodeyHost, "/v1/agents") {
				return "without a key, " + r.Line
			}
			return ""
		},
	},
	{hole: "identity-blocked", through: forged("x-latchkey-tenant", "team:t_2")},
	{hole: "identity-hidden", through: forged("x-latchkey-admin", "yes")},
	{hole: "underscores", through: forged("x_team_id", "t_2")},
	{hole: "private-addresses", through: forged("x-envoy-original-path", "/v1/members")},
	{hole: "mutations-blocked", through: func(t *testing.T, o opened) string {
		for _, r := range o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/chat", "authorization: Bearer "+o.pk) {
			if slices.Contains(r.Values("authorization"), "Bearer "+o.pk) {
				return "at the API, the client's key"
			}
		}
		return ""
	}},
	{
		hole: "port-of-a-pinned-host",
		closing: func(config string) string {
			return strings.Replace(config, "virtual_hosts:\n", "ignore_port_in_host_matching: true\n"+strings.Repeat(" ", 18)+"virtual_hosts:\n", 1)
		},
		through: func(t *testing.T, o opened) string {
			if all := o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/chat", "authorization: Bearer "+o.pk); len(all) > 0 {
				return "the host is given to another policy, and still " + all[0].Line
			}
			for _, r := range o.get(t, string(envoytest.Hardened), kodeyHost+":1", "/v1/chat", "authorization: Bearer "+o.pk) {
				return "of another policy's host, " + r.Line
			}
			return ""
		},
	},
	{hole: "query-logged", through: func(t *testing.T, o opened) string {
		o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/agents?key="+o.sk)
		return o.said(t, "/v1/agents", o.sk)
	}},
	{hole: "key-logged", through: func(t *testing.T, o opened) string {
		// Refused for what it may, and a good key all the same. Of what passes it has been taken out.
		o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/agents", "authorization: Bearer "+o.pk)
		return o.said(t, "/v1/agents", o.pk[:20])
	}},
	{
		hole:  "admin-for-all",
		admin: true,
		moved: by("port_value: 9901", "port_value: 0"),
		through: func(t *testing.T, o opened) string {
			// Not the address that it would listen on; every address of 127/8 is this machine's.
			_, port, err := net.SplitHostPort(o.envoy.AdminAddr())
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.Get("http://" + net.JoinHostPort("127.0.0.2", port) + "/config_dump")
			if err != nil {
				return ""
			}
			_ = resp.Body.Close()
			return "by another address, /config_dump: " + resp.Status
		},
	},
}

// TestHolesAreReal does with a real Envoy what each of the holes opens, and
// what comes of it once the hole is closed: a rule of `latchkey envoy lint`
// is about something that happens.
func TestHolesAreReal(t *testing.T) {
	w := oracle.Fixture()
	s := serve(t)
	s.applyDirectory(t, before(w))
	pk, sk := w.Find("kodey-pk"), w.Find("kodey-sk")
	s.importKeys(t, []oracle.Key{*pk, *sk})
	all, err := linttest.Holes()
	if err != nil {
		t.Fatal(err)
	}
	policies := examplePolicies(t)
	policies = policies[slices.IndexFunc(policies, func(p string) bool { return strings.Contains(p, "kodey") }):][:1]
	proofs := slices.Concat(proofs, insideProofs)
	for _, h := range all {
		if proven := slices.ContainsFunc(proofs, func(p proof) bool { return p.hole == h.Name }); proven != (h.Seen != "") {
			t.Errorf("the hole %s says that this was seen: %q; and is there a proof: %v", h.Name, h.Seen, proven)
		}
	}
	for _, p := range proofs {
		t.Run(p.hole, func(t *testing.T) {
			i := slices.IndexFunc(all, func(h linttest.Hole) bool { return h.Name == p.hole })
			if i < 0 {
				t.Fatal("there is no such hole")
			}
			up := envoytest.RunUpstream(t)
			flags := []string{"--authz", "unix:" + s.socket()}
			if p.down {
				flags[1] = "unix:" + filepath.Join(filepath.Dir(s.socket()), "nobody.sock")
			}
			admin := []string{"--envoy-admin", "127.0.0.1:0"}
			printed := s.printed(t, up, policies, append(flags, admin...)...)
			if p.admin {
				printed = s.printed(t, up, policies, flags...)
			}
			open, err := all[i].Open(printed)
			if err != nil {
				t.Fatal(err)
			}
			if p.moved != nil {
				open = p.moved(t, open, pk.Token)
			}
			shut := s.printed(t, up, policies, append(flags, admin...)...)
			if p.closing != nil {
				shut = p.closing(open)
			}
			for _, c := range []struct {
				config string
				open   bool
			}{{open, true}, {shut, false}} {
				// Busy machines want more time; some holes replace all of the filter, as it is printed.
				config := strings.Replace(c.config, "timeout: 0.5s", "timeout: 15s", 1)
				o := opened{startWritten(t, up, config), pk.Token, sk.Token}
				if !p.down {
					o.awaitHealth(t)
				}
				switch got := p.through(t, o); {
				case c.open && got == "":
					t.Errorf("nothing gets through, though: %s", all[i].Story)
				case !c.open && got != "":
					t.Errorf("closed, and still: %s", got)
				case c.open:
					t.Log(got)
				}
				o.envoy.Stop()
			}
		})
	}
}
