package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/internal/reload"
	"github.com/latchkey/latchkey/internal/serve"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func TestKeyAsJSON(t *testing.T) {
	k := &adminv1.Key{
		Id: "key_1", Status: "active", Description: `say "token":"", twice`,
		CreatedAt: timestamppb.New(time.Date(2030, 1, 31, 12, 0, 0, 0, time.FixedZone("", 3600))),
	}
	var out bytes.Buffer
	o := &output{form: "json", forms: []string{"table", "json"}}
	if err := o.print(&out, k, nil); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v:\n%s", err, out.String())
	}
	for name, want := range map[string]any{
		"id": "key_1", "status": "active", "created_at": "2030-01-31T11:00:00Z", "tenant": "", "system": false, "description": k.Description,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, name := range []string{"token", "expires_at", "retiring"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s is %v, want none", name, value)
		}
	}
	k.Token = "the token"
	text, err := messageJSON(k)
	if err != nil || !strings.Contains(string(text), `"token":"the token"`) {
		t.Errorf("got %s, %v; want the token", text, err)
	}
}

func TestAnEmptyListIsAnArray(t *testing.T) {
	text, err := listJSON[*adminv1.Key](nil)
	if err != nil || string(text) != "[]" {
		t.Errorf("got %s, %v", text, err)
	}
}

// Names and descriptions are written by others, and end up on a terminal.
func TestTablesCantSteerTheTerminal(t *testing.T) {
	var out bytes.Buffer
	err := printTable(&out, func(w *tabwriter.Writer) {
		row(w, "NAME", "STATUS")
		row(w, "a\x1b[2Jb\tc\nd\u009b\u202e", "")
	})
	want := "NAME          STATUS\na\uFFFD[2Jb c\uFFFDd\uFFFD\uFFFD  -\n"
	if err != nil || out.String() != want {
		t.Errorf("got %q, want %q (%v)", out.String(), want, err)
	}
}

func TestSpansAndInstants(t *testing.T) {
	for text, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "1h30m": 90 * time.Minute, "2w": 14 * 24 * time.Hour, "0s": 0} {
		var s span
		if err := s.Set(text); err != nil || s.AsDuration() != want {
			t.Errorf("%q is %v, %v; want %v", text, s.Duration, err, want)
		}
	}
	for _, text := range []string{"", "90", "soon", "-1h", "1.5h", "1y"} {
		var s span
		if err := s.Set(text); err == nil || s.Duration != nil {
			t.Errorf("%q is %v, want an error", text, s.Duration)
		}
	}
	var i instant
	if err := i.Set("2030-01-31T12:00:00+01:00"); err != nil || i.String() != "2030-01-31T11:00:00Z" {
		t.Errorf("got %s, %v", i.String(), err)
	}
	if err := i.Set("2030-01-31"); err == nil {
		t.Error("want an error for a day")
	}
}

func TestQuestionTakesTheURLAsItIs(t *testing.T) {
	for url, want := range map[string][2]string{
		"https://h.example/v1/x?y=%2F#z": {"h.example", "/v1/x?y=%2F#z"},
		"http://h.example:8080//a/../b":  {"h.example:8080", "//a/../b"},
		"https://h.example":              {"h.example", "/"},
		"https://h.example?q=1":          {"h.example", "/?q=1"},
		"https://u@h.example./a":         {"u@h.example.", "/a"},
	} {
		q, err := question(&adminv1.ExplainRequest{Method: "GET", Url: url, Headers: []string{"X-Team-Id:  t_1 "}})
		if err != nil || q.Host != want[0] || q.Path != want[1] {
			t.Errorf("%s: %q %q, %v; want %q", url, q.Host, q.Path, err, want)
		}
		if len(q.Headers) != 1 || q.Headers[0].Name != "X-Team-Id" || q.Headers[0].Value != "t_1" {
			t.Errorf("headers %v", q.Headers)
		}
	}
	for _, m := range []*adminv1.ExplainRequest{
		{Url: "https://h/"},
		{Method: "GET", Url: "h/"},
		{Method: "GET", Url: "ftp://h/"},
		{Method: "GET", Url: "https://h/", Headers: []string{"nonsense"}},
		{Method: "GET", Url: "https://h/", Token: "a", KeyId: "b"},
	} {
		if _, err := question(m); err == nil {
			t.Errorf("want an error for %v", m)
		}
	}
}

func TestImportLine(t *testing.T) {
	k, err := readImportLine([]byte(`{"policy":"p","type":"t","tenant":"team:t_1","scopes":["a","b"],"system":true,
		"expires_in":"90d","creator":"user:ada","token_sha256":"00"}`))
	if err != nil {
		t.Fatal(err)
	}
	if k.Key.Policy != "p" || len(k.Key.Scopes) != 2 || !k.Key.System || k.Creator != "user:ada" || k.TokenSha256 != "00" ||
		k.Key.ExpiresIn.AsDuration() != durationpb.New(90*24*time.Hour).AsDuration() {
		t.Errorf("got %v", k)
	}
}

// Whatever is wrong with a line, what is said of it holds nothing of the line
// but names of fields.
func FuzzImportLine(f *testing.F) {
	const planted = "Planted0123456789Planted0123456789"
	for _, line := range []string{
		`{"policy":"` + planted + `","policy":1}`, `{"` + planted + `":1}`, `{"token":{"a":"` + planted + `"}}`, `["` + planted + `"]`,
		planted, `{"expires_at":"` + planted + `"}`, `{"scopes":"` + planted + `"} ` + planted, `{"token":"` + planted,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		k, err := readImportLine(line)
		if err == nil && (k == nil || !json.Valid(line)) {
			t.Errorf("%q was taken for a key", line)
		}
		if err != nil && strings.Contains(err.Error(), planted) {
			t.Errorf("the mistake quotes the line: %v", err)
		}
	})
}

func TestConfigure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "serve.yaml")
	if err := os.WriteFile(file, []byte("policy: [a.yaml, /b.yaml]\ndata: from-file\nhttp: 127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		file               string
		flags              *configv1.Serve
		data, listen, http string
		policies           []string
	}{
		"defaults": {"", &configv1.Serve{}, "latchkey-data", "unix:latchkey-data/authz.sock", "127.0.0.1:9902", nil},
		"file":     {file, &configv1.Serve{}, "from-file", "unix:from-file/authz.sock", "127.0.0.1:1", []string{filepath.Join(filepath.Dir(file), "a.yaml"), "/b.yaml"}},
		"flags win": {
			file, &configv1.Serve{Data: "x", Listen: "localhost:2", Policy: []string{"c.yaml"}},
			"x", "localhost:2", "127.0.0.1:1",
			[]string{"c.yaml"},
		},
	} {
		c, err := configured(t, test.file, test.flags)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.data != test.data || c.listen.String() != test.listen || c.http.String() != test.http || strings.Join(c.policies, " ") != strings.Join(test.policies, " ") {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// configured is the configuration of a process that is started with a file and flags.
func configured(t *testing.T, file string, flags *configv1.Serve) (*serveConfig, error) {
	t.Helper()
	from, err := reload.Read(t.Context(), file, flags)
	if err != nil {
		t.Fatal(err)
	}
	return configure(from)
}

func TestConfigureLinks(t *testing.T) {
	const tls = "tls: {certificate: tls.crt, key: /k/tls.key, ca: ../ca.crt}\n"
	for name, test := range map[string]struct {
		file  string
		flags *configv1.Serve
		says  string // empty: good
		admin string
		hub   string
	}{
		"nothing over TCP":           {"", &configv1.Serve{}, "", "unix:latchkey-data/admin.sock", ""},
		"a hub on a socket":          {"", &configv1.Serve{HubListen: "unix:hub.sock"}, "", "unix:latchkey-data/admin.sock", "unix:hub.sock"},
		"both over TCP":              {tls + "admin: h:1\nhub_listen: h:2\noperators: [a.example]\nfollowers: [spiffe://td/*]\n", &configv1.Serve{}, "", "h:1", "h:2"},
		"flags win":                  {tls + "admin: unix:a\nhub_listen: unix:h\noperators: [a]\nfollowers: [b]\n", &configv1.Serve{Admin: "h:1", HubListen: "h:2"}, "", "h:1", "h:2"},
		"an admin without tls":       {"operators: [a]\n", &configv1.Serve{Admin: "h:1"}, "--admin: h:1 is reached over TCP, and the configuration file (--config) lacks `tls`", "", ""},
		"an admin without operators": {tls + "followers: [a]\n", &configv1.Serve{Admin: "h:1"}, "lacks `operators`", "", ""},
		"a hub without followers":    {tls + "operators: [a]\n", &configv1.Serve{HubListen: "h:1"}, "lacks `followers`", "", ""},
		"a hub with neither":         {"", &configv1.Serve{HubListen: ":1"}, "lacks `tls`, which says who the process is and whom it believes, and `followers`", "", ""},
		"half of tls":                {"tls: {certificate: a}\n", &configv1.Serve{}, "tls.key is missing", "", ""},
		"an empty tls":               {"tls: {}\n", &configv1.Serve{}, "tls is missing or empty", "", ""},
		"everybody":                  {tls + "followers: [\"*\"]\n", &configv1.Serve{}, "followers[0]", "", ""},
		"no address":                 {"", &configv1.Serve{HubListen: "x"}, "--hub-listen", "", ""},
	} {
		file := filepath.Join(t.TempDir(), "serve.yaml")
		if err := os.WriteFile(file, []byte("log_level: info\n"+test.file), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := configured(t, file, test.flags)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
		if err != nil {
			continue
		}
		hub := ""
		if c.hubListen != (serve.Address{}) {
			hub = c.hubListen.String()
		}
		if c.admin.String() != test.admin || hub != test.hub {
			t.Errorf("%s: admin %s, hub %s", name, c.admin, hub)
		}
		dir := filepath.Dir(file)
		if (c.tls != nil) != strings.Contains(test.file, "tls:") ||
			c.tls != nil && (c.tls.GetCertificate() != filepath.Join(dir, "tls.crt") || c.tls.GetKey() != "/k/tls.key" || c.tls.GetCa() != filepath.Join(filepath.Dir(dir), "ca.crt")) {
			t.Errorf("%s: the files aren't beside the configuration: %v", name, c.tls)
		}
	}
}

func TestNameOfABadFile(t *testing.T) {
	for text, want := range map[string]string{
		"name: demo\nhots: []\n":              "demo",
		"# a policy\nname: \"demo\" # x\n{[":  "demo",
		"hosts: []\n":                         "",
		"key_types:\n  x:\n    name: inner\n": "",
	} {
		if got := nameOf("f", []byte(text)); got != want {
			t.Errorf("%q is called %q, want %q", text, got, want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		code int
		says string
	}{
		"done":    {nil, 0, ""},
		"failed":  {errors.New("no luck"), 1, "latchkey: no luck\n"},
		"usage":   {usagef("wrong: %s", "sk_live_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1"), 2, "latchkey: wrong: [redacted]\n"},
		"differs": {exit{code: exitDiffers}, 3, ""},
		"denied":  {exit{code: exitDenied}, 4, ""},
	} {
		var out bytes.Buffer
		if code := report(&out, nil, test.err); code != test.code || out.String() != test.says {
			t.Errorf("%s: %d and %q, want %d and %q", name, code, out.String(), test.code, test.says)
		}
	}
}

// A folder that is gone, or has no policies any more, is told by the metric too, once.
func TestPolicyFilesThatAreGoneAreCounted(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	db := storagetest.New(t, storageOptions(&admin.Compiler{}))
	dir := t.TempDir()
	f := newPolicyFiles([]string{dir}, admin.New(admin.Options{Ledger: db, Log: log}), db, log)
	failures := func() float64 {
		var m dto.Metric
		if err := f.reloads.WithLabelValues("failure").Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetCounter().GetValue()
	}
	for _, want := range []float64{1, 1} {
		if f.reload(t.Context()); failures() != want || len(f.problems()) != 1 {
			t.Errorf("%v failures, want %v; problems %q", failures(), want, f.problems())
		}
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if f.reload(t.Context()); failures() != 2 {
		t.Errorf("%v failures once the folder is gone", failures())
	}
}

func TestMetricsFollowTheConventions(t *testing.T) {
	compiler := &admin.Compiler{}
	db := storagetest.New(t, storageOptions(compiler))
	log := slog.New(slog.DiscardHandler)
	p := &process{config: &serveConfig{}, db: db, log: log}
	p.admin = admin.New(admin.Options{Ledger: db, Log: log})
	p.checks = authz.NewServer(authz.Options{Source: p.source, Log: log})
	p.usage = p.newUsage()
	p.grpc = serve.NewGRPC()
	t.Cleanup(p.grpc.Stop)
	p.files = newPolicyFiles(nil, p.admin, db, log)
	p.store = serve.NewStoreHealth(db, func(bool) {}, log)
	families, err := p.registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	found := map[string]bool{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "latchkey_") {
			continue
		}
		found[f.GetName()] = true
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	problems, err := promlint.New(&text).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for _, name := range []string{
		"latchkey_build_info", "latchkey_ready", "latchkey_store_revision", "latchkey_store_keys", "latchkey_store_degraded", "latchkey_policy_reloads_total",
		"latchkey_policy_last_reload_success_timestamp_seconds", "latchkey_check_duration_seconds",
	} {
		if !found[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

// A lease that is said to end at a second has ended by then.
func TestEndsAreShownNoEarlier(t *testing.T) {
	second := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	for after, want := range map[time.Duration]string{
		0: "2030-01-31T12:00:00Z", 1: "2030-01-31T12:00:01Z", 999 * time.Millisecond: "2030-01-31T12:00:01Z", time.Second: "2030-01-31T12:00:01Z",
	} {
		var out bytes.Buffer
		w := tabwriter.NewWriter(&out, 0, 0, 1, ' ', 0)
		receiptTable(w, &adminv1.Receipt{
			LeasesEnd: timestamppb.New(second.Add(after)),
			Missing:   []*adminv1.Replica{{Name: "pod", LeaseEnds: timestamppb.New(second.Add(after))}},
		})
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), want); n != 2 {
			t.Errorf("%v after the second %d of 2 ends are shown as %s:\n%s", after, n, want, out.String())
		}
	}
}

func TestProgressText(t *testing.T) {
	for _, tc := range []struct {
		total, done int
		took        time.Duration
		want        string
	}{
		{0, 500, 5 * time.Second, "500 keys written, 100/s"},
		{1000, 500, 5 * time.Second, "500 of 1000 keys written, 100/s, 5s left"},
		{1000, 1000, 5 * time.Second, "1000 of 1000 keys written, 200/s"},
		{1000, 0, 0, "0 of 1000 keys written, 0/s"},
	} {
		p := &progress{what: "keys written", total: tc.total}
		if got := p.text(tc.done, tc.took); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// What is read twice and comes from a pipe may hold tokens: nobody can open the file, or read it.
func TestASpoolIsReadTwiceByNobodyElse(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const secret = "sk_live_Planted00000000000000000000001"
	text := strings.Repeat(secret+"\n", 5000)
	s, err := spool(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for range 2 {
		got, err := io.ReadAll(s)
		if err != nil || string(got) != text {
			t.Fatalf("read %d bytes of %d: %v", len(got), len(text), err)
		}
		if err := s.rewind(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the file has a name: %v, %v", left, err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if kept, err := io.ReadAll(s.file); err != nil || len(kept) != len(text) || bytes.Contains(kept, []byte("sk_live")) {
		t.Errorf("%d bytes are kept, and can be read", len(kept))
	}
}

// A line that is too long is one mistake, and the lines after it are read.
func TestImportReaderGoesOnAfterALongLine(t *testing.T) {
	text := `{"policy":"a"}` + "\n" + strings.Repeat("x", maxImportLine+70_000) + "\n\n" + `{"policy":"` + strings.Repeat("b", 100_000) + `"}` + "\n" + `{"policy":"c"}`
	batches, stop := importBatches(t.Context(), strings.NewReader(text))
	defer stop()
	b := <-batches
	if len(b.lines) != 3 || b.count != 4 || b.lines[1].line != 4 || b.lines[2].line != 5 || len(b.mistakes) != 1 || b.mistakes[0].line != 2 {
		t.Errorf("%d lines of %d, mistakes %v", len(b.lines), b.count, b.mistakes)
	}
}
