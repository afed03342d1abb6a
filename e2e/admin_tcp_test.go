package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/link/linktest"
	"github.com/latchkey/latchkey/internal/oracle"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
)

// remote is a process whose admin API is reached over TCP.
type remote struct {
	address string
	ca      *linktest.CA
}

// serveRemote serves the example policies, to the operator spiffe://td/ops.
func serveRemote(t *testing.T) *remote {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := envoytest.SocketDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &remote{ca: linktest.NewCA(t, "ca")}
	linktest.Write(t, dir, r.ca.Issue(t, linktest.Leaf{URIs: []string{"spiffe://td/hub"}, DNSNames: []string{"localhost"}}), r.ca)
	config := filepath.Join(dir, "serve.yaml")
	text := fmt.Sprintf("data: %s\nadmin: 127.0.0.1:0\nhttp: 127.0.0.1:0\ntls: {certificate: tls.crt, key: tls.key, ca: ca.crt}\noperators: [spiffe://td/ops]\n", filepath.Join(dir, "d"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"serve", "--config", config}
	for _, p := range examplePolicies(t) {
		args = append(args, "--policy", p)
	}
	log := &logBuffer{}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("latchkey ended with %v, and said last:\n%s", err, log.tail(20))
		}
	})
	eventually(t, "the admin API is served", func() error {
		for line := range strings.Lines(log.String()) {
			var said struct{ Msg, For, Address string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "listening" && said.For == "admin" {
				r.address = said.Address
				return nil
			}
		}
		return errors.New("no line of it in the log")
	})
	return r
}

// client returns a client with a certificate, or without one, that believes
// every server.
func (r *remote) client(t *testing.T, p *linktest.Pair) *http.Client {
	config := &tls.Config{InsecureSkipVerify: true}
	if p != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &tls.Certificate{Certificate: [][]byte{p.Certificate.Raw}, PrivateKey: p.Key}, nil
		}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// wire is a way to call a method without a word in the request.
type wire struct {
	name, contentType, stream string // the content types, of a call and of one that streams
	body, streamBody          []byte
}

var wires = []wire{
	{"JSON", "application/json", "application/connect+json", []byte("{}"), []byte("\x00\x00\x00\x00\x02{}")},
	{"protobuf", "application/proto", "application/connect+proto", nil, make([]byte, 5)},
	{"gRPC", "application/grpc+proto", "application/grpc+proto", make([]byte, 5), make([]byte, 5)},
}

// call calls a method and reports whether it got as far as the method, and
// whether it was done. Nothing is more than refused before it got there.
func call(ctx context.Context, client *http.Client, base string, m protoreflect.MethodDescriptor, w wire, key string) (reached, done bool, said string) {
	contentType, body := w.contentType, w.body
	if m.IsStreamingServer() {
		contentType, body = w.stream, w.streamBody
	}
	r, err := http.NewRequestWithContext(ctx, "POST", fmt.Sprintf("%s/%s/%s", base, m.Parent().FullName(), m.Name()), bytes.NewReader(body))
	if err != nil {
		return false, false, err.Error()
	}
	r.Header.Set("Content-Type", contentType)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := client.Do(r)
	if err != nil {
		return false, false, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	said = fmt.Sprintf("%d %v %v %.200q %v", answer.StatusCode, answer.Header, answer.Trailer, text, err)
	switch {
	case strings.HasPrefix(w.contentType, "application/grpc"):
		code := answer.Trailer.Get("Grpc-Status")
		if code == "" {
			code = answer.Header.Get("Grpc-Status")
		}
		return answer.StatusCode == 200 && code != "7" && code != "12" && code != "", code == "0", said
	case m.IsStreamingServer():
		// The last frame has an error, or none.
		failed := bytes.Contains(text, []byte(`"error"`))
		return answer.StatusCode == 200 && !bytes.Contains(text, []byte("permission_denied")), answer.StatusCode == 200 && !failed, said
	}
	var failure struct{ Code string }
	_ = json.Unmarshal(text, &failure) // an answer that is none of Connect has no code
	return answer.StatusCode == 200 || failure.Code != "" && failure.Code != "permission_denied" && failure.Code != "unimplemented", answer.StatusCode == 200, said
}

// No method of the admin API answers anybody but an operator that the
// configuration names, and no API key opens one: not even beside the
// certificate of an operator. Methods that are added are asked too.
func TestAdminOverTCPIsForOperatorsAlone(t *testing.T) {
	r := serveRemote(t)
	other := linktest.NewCA(t, "ca")
	ops := linktest.Leaf{URIs: []string{"spiffe://td/ops"}}
	operator := r.client(t, r.ca.Issue(t, ops))
	base := "https://" + r.address
	position := func() uint64 {
		t.Helper()
		status, err := adminv1connect.NewServerServiceClient(operator, base).GetStatus(t.Context(), connect.NewRequest(&adminv1.GetStatusRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		return status.Msg.GetPosition().GetRevision()
	}
	keys := keyOfEachType(t, operator, base)
	before := position()

	type caller struct {
		client *http.Client
		base   string
		key    string
	}
	strangers := map[string]caller{
		"without a certificate":  {r.client(t, nil), base, ""},
		"another CA":             {r.client(t, other.Issue(t, ops)), base, ""},
		"another identity":       {r.client(t, r.ca.Issue(t, linktest.Leaf{URIs: []string{"spiffe://td/ops/a"}})), base, ""},
		"a follower's":           {r.client(t, r.ca.Issue(t, linktest.Leaf{URIs: []string{"spiffe://td/sidecar"}})), base, ""},
		"two identities":         {r.client(t, r.ca.Issue(t, linktest.Leaf{URIs: []string{"spiffe://td/ops", "spiffe://td/a"}})), base, ""},
		"a common name":          {r.client(t, r.ca.Issue(t, linktest.Leaf{CommonName: "spiffe://td/ops"})), base, ""},
		"expired":                {r.client(t, r.ca.Issue(t, linktest.Leaf{URIs: ops.URIs, From: time.Now().Add(-2 * time.Hour), Until: time.Now().Add(-time.Hour)})), base, ""},
		"for servers":            {r.client(t, r.ca.Issue(t, linktest.Leaf{URIs: ops.URIs, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})), base, ""},
		"in cleartext":           {r.client(t, nil), "http://" + r.address, ""},
		"an operator, as a word": {operator, base, "spiffe://td/ops"},
	}
	for name, key := range keys {
		strangers["an operator with a key of "+name] = caller{operator, base, key}
		strangers["a key of "+name] = caller{r.client(t, nil), base, key}
	}
	methods, calls := 0, 0
	services := adminv1.File_latchkey_admin_v1_admin_proto.Services()
	for i := range services.Len() {
		for j := range services.Get(i).Methods().Len() {
			m := services.Get(i).Methods().Get(j)
			methods++
			for _, w := range wires {
				// By an operator each method is reached: else the refusals would prove nothing.
				if reached, _, said := call(t.Context(), operator, base, m, w, ""); !reached {
					t.Errorf("%s by %s: an operator doesn't get there: %s", m.FullName(), w.name, said)
				}
				for name, c := range strangers {
					calls++
					if reached, done, said := call(t.Context(), c.client, c.base, m, w, c.key); reached || done {
						t.Errorf("%s by %s, %s: got there: %s", m.FullName(), w.name, name, said)
					}
				}
			}
		}
	}
	if methods < 18 || len(keys) < 9 {
		t.Errorf("only %d methods and %d types of keys were found", methods, len(keys))
	}
	if after := position(); after != before {
		t.Errorf("the store went from revision %d to %d", before, after)
	}
	t.Logf("%d calls of %d methods by strangers, with keys of %d types", calls, methods, len(keys))
}

// keyOfEachType makes a live key of each type of the examples, and returns the
// tokens by the names of the types.
func keyOfEachType(t *testing.T, operator *http.Client, base string) map[string]string {
	t.Helper()
	w := oracle.Fixture()
	found := map[string]bool{}
	w.Keys = slices.DeleteFunc(w.Keys, func(k oracle.Key) bool {
		kind := k.Policy + "/" + k.Type
		if found[kind] || k.Revoked || k.Disabled || past(k.Expires) || len(k.OldTokens) > 0 {
			return true
		}
		found[kind] = true
		return false
	})
	s := &server{
		keys: adminv1connect.NewKeyServiceClient(operator, base), dir: adminv1connect.NewDirectoryServiceClient(operator, base),
	}
	s.load(t, w)
	tokens := map[string]string{}
	for _, k := range w.Keys {
		tokens[k.Policy+"/"+k.Type] = k.Token
	}
	return tokens
}
