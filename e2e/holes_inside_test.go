package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// insideProofs are about what a client gets at, or gets others to believe,
// though its requests are asked about.
var insideProofs = []proof{
	{
		hole:  "clients-to-admin",
		admin: true,
		moved: func(t *testing.T, config, _ string) string {
			// A cluster must name a port, so that the kernel can't choose one later.
			_, port, err := net.SplitHostPort(freePort(t))
			if err != nil {
				t.Fatal(err)
			}
			config = strings.Replace(config, "port_value: 10003", "port_value: 0", 1)
			return strings.ReplaceAll(config, "port_value: 9901", "port_value: "+port)
		},
		through: func(t *testing.T, o opened) string {
			if !o.envoy.Has("status") {
				return ""
			}
			resp, err := http.Get("http://" + o.envoy.Addr("status") + "/config_dump")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			return "by a listener for clients, /config_dump: " + resp.Status
		},
	},
	tapProof(),
	{hole: "facts-forged", through: func(t *testing.T, o opened) string {
		o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/chat", "authorization: Bearer "+o.pk, "x-caller: key_of_another")
		return o.said(t, "/v1/chat", "key_of_another")
	}},
	{hole: "key-copied", through: func(t *testing.T, o opened) string {
		for _, r := range o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/chat", "authorization: Bearer "+o.pk) {
			if slices.Contains(r.Values("x-original-authorization"), "Bearer "+o.pk) {
				return "at the API, the client's key"
			}
		}
		return ""
	}},
	{
		hole: "key-given",
		moved: func(_ *testing.T, config, pk string) string {
			return strings.Replace(config, "Bearer ours", "Bearer "+pk, 1)
		},
		through: unasked("/v1/chat"),
	},
	{hole: "mutation-of-a-route", through: func(t *testing.T, o opened) string {
		for _, r := range o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/chat", "authorization: Bearer "+o.pk, "x-tenant: team:t_2") {
			if slices.Contains(r.Values("x-latchkey-tenant"), "team:t_2") {
				return "as the client wrote it, x-latchkey-tenant"
			}
		}
		return ""
	}},
	{hole: "refusals-as-success", through: func(t *testing.T, o opened) string {
		fields := []envoytest.Field{{Name: "Host", Value: kodeyHost}, {Name: "Connection", Value: "close"}}
		resp, err := envoytest.H1(t.Context(), o.envoy.Addr(string(envoytest.Hardened)), envoytest.Request("GET", "/v1/agents", fields, nil))
		if err != nil {
			t.Fatal(err)
		}
		if resp.Status == http.StatusOK {
			return "without a key, 200"
		}
		return ""
	}},
	{hole: "address-from-a-header", through: func(t *testing.T, o opened) string {
		other := envoytest.RunUpstream(t)
		o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/chat", "authorization: Bearer "+o.pk, "x-envoy-original-dst-host: "+other.Addr())
		for _, r := range other.Take("") {
			return "at an address that the client chose, " + r.Line
		}
		return ""
	}},
}

// tapProof reads what a tap has written, and takes it away.
func tapProof() proof {
	var taps string
	return proof{
		hole: "tap-before",
		moved: func(t *testing.T, config, _ string) string {
			taps = filepath.Join(t.TempDir(), "taps")
			return strings.Replace(config, "path_prefix: taps", "path_prefix: "+taps, 1)
		},
		through: func(t *testing.T, o opened) string {
			o.get(t, string(envoytest.Hardened), kodeyHost, "/v1/agents", "authorization: Bearer "+o.pk)
			o.said(t, "/v1/agents", o.pk) // by then the tap has written, too
			files, err := filepath.Glob(taps + "_*")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(text), o.pk) {
					got = "in a file, the client's key"
				}
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			return got
		},
	}
}
