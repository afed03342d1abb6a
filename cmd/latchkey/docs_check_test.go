package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const checkDocument = "docs/check.md"

// tableOf returns the rows of the table of a document whose first column has
// this head, without the marks of code.
func tableOf(t *testing.T, document, head string) (rows [][]string) {
	t.Helper()
	in := false
	for _, line := range strings.Split(readDocument(t, document), "\n") {
		if !strings.HasPrefix(line, "|") {
			in = false
			continue
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.ReplaceAll(strings.TrimSpace(cell), "`", ""))
		}
		switch {
		case cells[0] == head:
			in = true
		case in && !strings.HasPrefix(line, "|---"):
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table with the head %q", document, head)
	}
	return rows
}

func TestDocsReasons(t *testing.T) {
	var documented []string
	for _, row := range tableOf(t, checkDocument, "reason") {
		documented = append(documented, strings.Join(row[:3], " | "))
	}
	var all []string
	for _, r := range policy.Reasons() {
		status, told := strconv.Itoa(r.Status()), r.Message()
		if r.Allows() {
			status, told = "allow", ""
		}
		all = append(all, r.String()+" | "+status+" | "+told)
	}
	if !slices.Equal(documented, all) {
		t.Errorf("%s says\n%s\nwant\n%s", checkDocument, strings.Join(documented, "\n"), strings.Join(all, "\n"))
	}
	body := policy.DefaultReply(policy.ScopeMissing).Body(policy.Facts{RequestID: "5e47cb98-8712-4673-ab99-a716e6ec66ab"})
	if !strings.Contains(readDocument(t, checkDocument), "\n    "+body+"\n") {
		t.Errorf("%s doesn't show the default body %s", checkDocument, body)
	}
}

// kodey is a real process with one of the examples and a key.
type kodey struct {
	*shell
	check  *grpc.ClientConn
	status *adminv1.GetStatusResponse
	token  string
}

func serveKodey(t *testing.T) *kodey {
	t.Helper()
	k := &kodey{shell: newShell(t), status: &adminv1.GetStatusResponse{}}
	k.job("latchkey serve --policy examples/kodey/policy.yaml --hub-listen unix:hub.sock &")
	for _, c := range []string{
		"latchkey directory apply -f examples/kodey/directory.yaml",
		"latchkey keys create --policy kodey --type user_secret --principal user:ada --as user:ada -o json",
		"latchkey status -o json",
	} {
		stdout, stderr, code := k.typed(c)
		if code != 0 {
			t.Fatalf("%s: exit code %d\n%s", c, code, stderr)
		}
		var err error
		switch made := (struct{ Token string }{}); {
		case strings.Contains(c, "create"):
			err = json.Unmarshal([]byte(stdout), &made)
			k.token = made.Token
		case strings.Contains(c, "status"):
			err = protojson.Unmarshal([]byte(stdout), k.status)
		}
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
	}
	conn, err := grpc.NewClient("unix://"+filepath.Join(k.dir, "latchkey-data/authz.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	k.check = conn
	return k
}

func (k *kodey) ask(t *testing.T, host, path, token string) *authv3.CheckResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := authv3.NewAuthorizationClient(k.check).Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Host: host, Path: path, Headers: map[string]string{"authorization": "Bearer " + token},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestDocsTables compares the tables of the document with a running process.
func TestDocsTables(t *testing.T) {
	k := serveKodey(t)
	t.Run("identity", k.identity)
	k.job("latchkey-sidecar --hub unix:hub.sock --data pod-1 &")
	t.Run("metrics", k.metrics)
	t.Run("metrics of a sidecar", k.sidecarMetrics)
	t.Run("health", k.health)
	k.end()
}

func (k *kodey) identity(t *testing.T) {
	var headers, fields []string
	for _, row := range tableOf(t, checkDocument, "header") {
		if row[0] != "" {
			headers = append(headers, row[0])
			if want := strings.ReplaceAll(strings.TrimPrefix(row[0], "x-latchkey-"), "-", "_"); row[1] != want {
				t.Errorf("the field of %s is called %s, want %s", row[0], row[1], want)
			}
		}
		fields = append(fields, row[1])
	}
	allowed := k.ask(t, "api.kodey.example", "/v1/teams/t_1", k.token)
	var real []string
	for _, h := range allowed.GetOkResponse().GetHeaders() {
		real = append(real, h.GetHeader().GetKey())
	}
	real = append(real, allowed.GetOkResponse().GetHeadersToRemove()...)
	real = slices.DeleteFunc(real, func(name string) bool { return !strings.HasPrefix(name, "x-latchkey-") })
	slices.Sort(headers)
	slices.Sort(real)
	if !slices.Equal(headers, real) {
		t.Errorf("%s has the headers %v, an answer sets or removes %v", checkDocument, headers, real)
	}
	seen := map[string]bool{}
	for _, answer := range []*authv3.CheckResponse{allowed, k.ask(t, "api.kodey.example", "/v1/agents", k.token), k.ask(t, "other.example", "/", "none")} {
		for name := range answer.GetDynamicMetadata().GetFields() {
			seen[name] = true
			if !slices.Contains(fields, name) {
				t.Errorf("%s doesn't name the field %s of dynamic metadata", checkDocument, name)
			}
		}
	}
	for _, name := range fields {
		if !seen[name] && !slices.Contains(headers, "x-latchkey-"+strings.ReplaceAll(name, "_", "-")) {
			t.Errorf("%s names the field %s of dynamic metadata, which no answer has", checkDocument, name)
		}
	}
}

func (k *kodey) metrics(t *testing.T) {
	k.ask(t, "api.kodey.example", "/v1/chat", "none")
	families := k.metricsOf(t, k.address(t, "http"))
	documented := map[string]bool{}
	k.documented(t, families, "metric", documented)
	k.documented(t, families, "metric of a hub", documented)
	undocumented(t, families, documented)
}

// sidecarMetrics: those of a sidecar are its own, and some of those of every process.
func (k *kodey) sidecarMetrics(t *testing.T) {
	log := filepath.Join(k.dir, "..", "job"+k.jobs[len(k.jobs)-1])
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	at := httpLine.FindSubmatch(text)
	if at == nil {
		t.Fatalf("the sidecar doesn't say where it listens:\n%s", text)
	}
	families := k.metricsOf(t, string(at[1]))
	documented := map[string]bool{}
	k.documented(t, families, "metric of a sidecar", documented)
	for _, row := range metricTable(t, "metric") {
		documented[row[0]] = true
		// No check was asked for, and policy files are the hub's.
		if _, ok := families[row[0]]; !ok && row[0] != "latchkey_checks_total" && !strings.HasPrefix(row[0], "latchkey_policy_") {
			t.Errorf("the documents have the metric %s for every process, which a sidecar has not", row[0])
		}
	}
	undocumented(t, families, documented)
}

var httpLine = regexp.MustCompile(`"for":"http","address":"([^"]+)"`)

// metricTable is the tables of metrics with a head, of all documents that have such.
func metricTable(t *testing.T, head string) [][]string {
	return append(tableOf(t, checkDocument, head), tableOf(t, "docs/usage.md", head)...)
}

// documented compares a table of metrics with those of a process, and notes what it has.
func (k *kodey) documented(t *testing.T, families map[string]family, head string, all map[string]bool) {
	for _, row := range metricTable(t, head) {
		all[row[0]] = true
		is, ok := families[row[0]]
		switch want := (family{row[1], row[2]}); {
		case !ok:
			t.Errorf("the documents have the metric %s, which /metrics has not", row[0])
		case is != want:
			t.Errorf("the documents say that %s is %v, it is %v", row[0], want, is)
		}
	}
}

func undocumented(t *testing.T, families map[string]family, documented map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if strings.HasPrefix(name, "latchkey_") && !documented[name] {
			t.Errorf("no document has the metric %s", name)
		}
	}
}

// family is what is told of a metric.
type family struct{ kind, labels string }

func (k *kodey) metricsOf(t *testing.T, address string) map[string]family {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]family{}
	for name, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		told[name] = family{strings.ToLower(f.GetType().String()), strings.Join(labels, " ")}
	}
	return told
}

// address is where a listener of the process is.
func (k *kodey) address(t *testing.T, name string) string {
	t.Helper()
	for _, l := range k.status.GetListeners() {
		if l.GetName() == name {
			return l.GetAddress()
		}
	}
	t.Fatalf("no listener is called %s", name)
	return ""
}

func (k *kodey) health(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	list, err := grpc_health_v1.NewHealthClient(k.check).List(ctx, &grpc_health_v1.HealthListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range tableOf(t, checkDocument, "service") {
		documented = append(documented, strings.Trim(row[0], `"`))
	}
	slices.Sort(documented)
	if real := slices.Sorted(maps.Keys(list.GetStatuses())); !slices.Equal(documented, real) {
		t.Errorf("%s has the services %q, there are %q", checkDocument, documented, real)
	}
}
