package strictyaml

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

func TestParseDuration(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		err  string
	}{
		{"0s", 0, ""},
		{"90d", 90 * 24 * time.Hour, ""},
		{"1h30m", 90 * time.Minute, ""},
		{"1w1d1h1m1s", 8*24*time.Hour + time.Hour + time.Minute + time.Second, ""},
		{"007s", 7 * time.Second, ""},
		{"36500d", 36500 * 24 * time.Hour, ""},
		{"36500d1s", 0, "hundred years"},
		{"36501d", 0, "hundred years"},
		{"9223372036854775808s", 0, "hundred years"},
		{"18446744073709551616w", 0, "hundred years"},
		{"-1d", 0, "negative"},
		{"1h-1m", 0, "negative"},
		{"", 0, "such as"},
		{"5", 0, "such as"},
		{"s", 0, "such as"},
		{"1.5h", 0, "such as"},
		{"1y", 0, "such as"},
		{"1m1h", 0, "such as"},
		{"1m1m", 0, "such as"},
		{"1h ", 0, "such as"},
		{"1H", 0, "such as"},
		{"１h", 0, "such as"},
	} {
		got, err := ParseDuration(c.text)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v, %q", c.text, got, err, c.want, c.err)
		}
	}
}

func TestNearest(t *testing.T) {
	fields := []string{"scopes", "key_types", "endpoints", "id", "hosts"}
	for word, want := range map[string]string{
		"scope": "scopes", "scpoes": "scopes", "SCOPES": "scopes", "keytypes": "key_types", "keyTypes": "key_types",
		"endpoint": "endpoints", "host": "hosts", "colour": "", "x": "", "": "", "xy": "", strings.Repeat("scopes", 20): "",
	} {
		if got := Nearest(word, fields); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

const placed = `name: kodey
hosts:
  - a.example
  - "b.example"
scopes: [chat, agents]
key_types:
  secret:
    format: sk_{secret:30}
    management:
      - {rule: 'caller.id == key.principal', message: mine}
      - rule: >-
          a &&
          b
endpoints:
  Chat Operations: {scopes: [chat], routes: ["* /v1/chat", "* /v1/chat/**"]}
replies:
  401: {body: {error: {code: [x, "{code}"]}}}
`

func TestSourceKnowsPlaces(t *testing.T) {
	source, err := Decode("p.yaml", []byte(placed), &policyv1.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path         string
		line, column int
		text         string
	}{
		{"", 1, 1, ""},
		{"name", 1, 7, "kodey"},
		{"hosts", 2, 1, "hosts"},
		{"hosts/1", 4, 5, "b.example"},
		{"hosts/9", 2, 1, "hosts"},
		{"scopes/agents", 5, 16, "agents"},
		{"scopes/1", 5, 16, "agents"},
		{"key_types/secret", 7, 3, "secret"},
		{"key_types/secret/format", 8, 13, "sk_{secret:30}"},
		{"key_types/secret/owner", 7, 3, "secret"},
		{"key_types/secret/management/0/rule", 10, 16, "caller.id == key.principal"},
		{"key_types/secret/management/1/rule", 11, 15, "a && b"},
		{"endpoints/Chat Operations/routes/1", 15, 60, "* /v1/chat/**"},
		{"endpoints/0/scopes/0", 15, 30, "chat"},
		{"replies/401/body/error/code/1", 17, 34, "{code}"},
		{"replies/401/status", 17, 3, "401"},
		{"nothing/at/all", 1, 1, ""},
	} {
		var path []string
		if c.path != "" {
			path = strings.Split(c.path, "/")
		}
		if line, column, text := source.At(path...); line != c.line || column != c.column || text != c.text {
			t.Errorf("%s is at %d:%d %q, want %d:%d %q", c.path, line, column, text, c.line, c.column, c.text)
		}
	}
}

func TestSourceMakesMistakes(t *testing.T) {
	source, err := Decode("p.yaml", []byte(placed), &policyv1.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	rule := []string{"key_types", "secret", "management", "0", "rule"}
	folded := []string{"key_types", "secret", "management", "1", "rule"}
	for _, c := range []struct {
		name string
		got  Mistake
		want string
	}{
		{
			"a scalar", source.Mistake([]string{"scopes", "chat"}, "no endpoint needs it", "remove it"),
			"p.yaml:5:10: no endpoint needs it: remove it\n    5 | scopes: [chat, agents]\n      |          ^^^^",
		},
		{
			"within a quoted scalar", source.MistakeWithin(rule, 10, "what", "do"),
			"p.yaml:10:27: what: do\n   10 |       - {rule: 'caller.id == key.principal', message: mine}\n      |                           ^",
		},
		{
			"within a folded scalar", source.MistakeWithin(folded, 5, "what", "do"),
			"p.yaml:11:15: what: do\n   11 |       - rule: >-\n      |               ^^",
		},
		{
			"past the end", source.MistakeWithin(rule, 99, "what", "do"),
			"p.yaml:10:16: what: do\n   10 |       - {rule: 'caller.id == key.principal', message: mine}\n      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^",
		},
		{
			"no remedy", source.Mistake([]string{"name"}, "what", ""),
			"p.yaml:1:7: what\n    1 | name: kodey\n      |       ^^^^^",
		},
	} {
		if c.got.String() != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, c.got, c.want)
		}
	}
}

func TestDecodeReplacesTheMessage(t *testing.T) {
	message := &policyv1.Policy{Name: "old", Preflight: true}
	before := proto.Clone(message)
	if _, err := Decode("p.yaml", []byte("name: new\nscops: []"), message); err == nil || !proto.Equal(message, before) {
		t.Errorf("after an error the message is %v", message)
	}
	if _, err := Decode("p.yaml", []byte("name: new"), message); err != nil || !proto.Equal(message, &policyv1.Policy{Name: "new"}) {
		t.Errorf("got %v, %v", message, err)
	}
}

func TestDecodeSomeKeepsWhatCouldBeRead(t *testing.T) {
	message := &policyv1.Policy{}
	source, mistakes := DecodeSome("p.yaml", []byte("name: a\nkey_types:\n  k: {formt: x, owner: team}\nendpoints:\n  e: {scopes: [1, chat], scopes: [x]}"), message)
	want := &policyv1.Policy{Name: "a", KeyTypes: []*policyv1.KeyType{{Name: "k", Owner: "team"}}, Endpoints: []*policyv1.Endpoint{{Name: "e", Scopes: []string{"chat"}}}}
	if source == nil || !proto.Equal(message, want) {
		t.Errorf("got %v", message)
	}
	var paths []string
	for _, m := range mistakes {
		paths = append(paths, strings.Join(m.Path, "/"))
	}
	if want := []string{"key_types/k", "endpoints/e/scopes/0", "endpoints/e"}; !slices.Equal(paths, want) {
		t.Errorf("mistakes at %v, want %v", paths, want)
	}
	if mistakes[0].Extra || mistakes[1].Extra || !mistakes[2].Extra {
		t.Errorf("only the doubled key takes nothing away: %+v", mistakes)
	}
}

func TestLimits(t *testing.T) {
	if _, err := Decode("p.yaml", bytes.Repeat([]byte("#"), MaxSize+1), &policyv1.Policy{}); err == nil || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("a file that is too large: %v", err)
	}
	for _, c := range []struct {
		name, part string
	}{
		{"flow lists", "["}, {"flow mappings", "{a: "}, {"dashes", "- "}, {"anchors", "&a "}, {"keys", "? "}, {"lines", "a: 1\n"}, {"aliases", "*a "},
	} {
		src := []byte(strings.Repeat(c.part, MaxSize/len(c.part)))
		start := time.Now()
		_, err := Decode("p.yaml", src, &policyv1.Policy{})
		if err == nil || len(err.Error()) > 1<<20 {
			t.Errorf("%s without end: %d bytes of error", c.name, len(err.Error()))
		}
		t.Logf("%s: %v, %.60s", c.name, time.Since(start).Round(time.Millisecond), err)
	}
}

func TestFractions(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "1": 1, "0.25": 0.25, "0.010": 0.01, "-0.5": -0.5, "12.75": 12.75} {
		got := &configv1.DecisionLog{}
		if _, err := Decode("c.yaml", []byte("allow_sample: "+text), got); err != nil || got.GetAllowSample() != want {
			t.Errorf("%s is read as %v, %v", text, got.GetAllowSample(), err)
		}
	}
	for _, text := range []string{`"0.5"`, ".5", "1.", "1e-2", "0x1", "00.5", ".inf", ".nan", "1_0", "true", "[0.5]", "a", "~", ""} {
		if _, err := Decode("c.yaml", []byte("allow_sample: "+text), &configv1.DecisionLog{}); err == nil || !strings.Contains(err.Error(), "c.yaml:1:15") && !strings.Contains(err.Error(), "c.yaml:1") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
