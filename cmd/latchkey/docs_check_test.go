package main

import (
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
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

func serveKodey(t *testing.T, flags ...string) *kodey {
	t.Helper()
	k := &kodey{shell: newShell(t), status: &adminv1.GetStatusResponse{}}
	k.job("latchkey serve --policy examples/kodey/policy.yaml --hub-listen unix:hub.sock " + strings.Join(flags, " ") + " &")
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
