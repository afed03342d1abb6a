package envoyconf_test

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/envoyconf"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

func address(t *testing.T, text string) serve.Address {
	t.Helper()
	a, err := serve.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func config(t *testing.T) envoyconf.Config {
	return envoyconf.Config{
		Reads: envoyconf.Reads{Credentials: []string{"x-api.key"}, Tenants: []string{"x-org"}}, Name: "on", CheckTimeout: time.Second,
		Listen: address(t, "127.0.0.1:1"), Upstream: address(t, "127.0.0.1:2"), Authz: address(t, "unix:a b/authz.sock"),
		Pins: []envoyconf.Pin{{Host: "a.example", Policy: "p", Environment: "no"}},
	}
}

func tree(t *testing.T, c envoyconf.Config, part envoyconf.Part) *strictyaml.Tree {
	t.Helper()
	text, err := envoyconf.Write(c, part)
	if err != nil {
		t.Fatal(err)
	}
	read, err := strictyaml.ReadTree(string(part), text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return read
}

// A part is what stands in the whole.
func TestPartsAreOfTheWhole(t *testing.T) {
	c := config(t)
	all := tree(t, c, envoyconf.All).Member("static_resources")
	listener := all.Member("listeners").Values[0]
	filter := listener.Member("filter_chains").Values[0].Member("filters").Values[0].Member("typed_config").Member("http_filters").Values[0]
	for part, want := range map[envoyconf.Part]*strictyaml.Tree{
		envoyconf.Listener: listener, envoyconf.Filter: filter, envoyconf.Cluster: all.Member("clusters").Values[1],
	} {
		if got := tree(t, c, part); string(got.JSON()) != string(want.JSON()) {
			t.Errorf("%s is\n%s\nand in the whole\n%s", part, got.JSON(), want.JSON())
		}
	}
}

// Whatever a name is, it is written so that every reader of YAML takes it for that text.
func TestNamesAreText(t *testing.T) {
	json := string(tree(t, config(t), envoyconf.All).JSON())
	for _, want := range []string{
		`"stat_prefix":"on"`, `"latchkey.environment":"no"`, `"path":"a b/authz.sock"`, `"regex":"^(x-api\\.key|x-latchkey-.*|x-org)$"`,
	} {
		if !strings.Contains(json, want) {
			t.Errorf("no %s in %s", want, json)
		}
	}
}

func TestReads(t *testing.T) {
	a := envoyconf.Reads{Credentials: []string{"authorization"}, Tenants: []string{"x-team"}}
	b := envoyconf.Reads{Credentials: []string{"api-key", "authorization"}, Preflight: true}
	both := strings.Join(a.With(b).Headers(), " ")
	const want = ":method :authority :path x-request-id api-key authorization x-team origin access-control-request-method"
	if both != want {
		t.Errorf("got  %s\nwant %s", both, want)
	}
}

// All that is wrong is told at once.
func TestConfigMistakes(t *testing.T) {
	c := config(t)
	c.Listen, c.Authz, c.Upstream = address(t, "localhost:1"), address(t, "[::]:1"), address(t, ":1")
	admin := address(t, "0.0.0.0:1")
	c.Admin, c.CheckTimeout, c.TLS.ClientCA = &admin, 0, "ca"
	c.Pins = append(c.Pins, c.Pins[0])
	_, err := envoyconf.Write(c, envoyconf.All)
	for _, want := range []string{"an IP address", "in clear text", "has no host", "admin interface", "from 1ms", "without TLS", "two policies"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// What stands in a comment ends with it.
func TestNoLineBreaksInComments(t *testing.T) {
	const hole = "a\nadmin: { address: { socket_address: { address: 0.0.0.0, port_value: 1 } } } #"
	for name, change := range map[string]func(*envoyconf.Config){
		"command": func(c *envoyconf.Config) { c.Command = "latchkey envoy config '" + hole + "'" },
		"policy":  func(c *envoyconf.Config) { c.Policies = []string{hole} },
		"host":    func(c *envoyconf.Config) { c.Pins[0].Host = hole },
	} {
		c := config(t)
		change(&c)
		if text, err := envoyconf.Write(c, envoyconf.All); err == nil {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}
