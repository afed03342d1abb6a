package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/link/linktest"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
)

// listen serves the bench on a unix socket and returns a client of it.
func (b *bench) listen(protocols func(*http.Protocols)) *http.Client {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		b.t.Fatal(err)
	}
	both := new(http.Protocols)
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: b.Handler(), ConnContext: ConnContext, Protocols: both}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	b.t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		Protocols: new(http.Protocols),
	}
	protocols(transport.Protocols)
	b.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func http1(p *http.Protocols) { p.SetHTTP1(true) }
func http2(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }

const create = adminv1connect.KeyServiceCreateKeyProcedure

// TestJSON sends what curl would.
func TestJSON(t *testing.T) {
	b := start(t)
	client := b.listen(http1)
	for _, tc := range []struct {
		name   string
		path   string
		body   string
		header http.Header
		host   string
		method string
		status int
		want   string
	}{
		{name: "a key", path: create, body: `{"key":` + plainKey + `}`, status: 200, want: `"created_at":`},
		{name: "by lowerCamelCase", path: create, body: `{"dryRun":true,"key":` + plainKey + `}`, status: 200, want: `"sp_"`},
		{name: "an unknown field", path: create, body: `{"key":{"policy":"sparse","type":"plain","tenant":"org:free","expire_at":"2031-01-01T00:00:00Z"}}`, status: 400, want: `unknown field`},
		{name: "a doubled field", path: create, body: `{"key":{},"key":{}}`, status: 400, want: "malformed"},
		{name: "a wrong duration", path: create, body: `{"key":{"expires_in":"90d"}}`, status: 400, want: "Duration"},
		{name: "a wrong type", path: create, body: `{"key":{"name":7}}`, status: 400, want: "string field name"},
		{name: "refused", path: create, body: `{"as":"user:member","key":` + roleKey + `}`, status: 403, want: "managed by owners"},
		{name: "invalid", path: create, body: `{"key":{"policy":"sparse"}}`, status: 400, want: `"invalid_argument"`},
		{name: "absent", path: adminv1connect.KeyServiceGetKeyProcedure, body: `{"id":"key_00000000000000000000000000000000"}`, status: 404, want: "not_found"},
		{name: "no such method", path: "/latchkey.admin.v1.KeyService/DeleteKey", body: `{}`, status: 501, want: "unimplemented"},
		{name: "a service that isn't served here", path: adminv1connect.ServerServiceGetStatusProcedure, body: `{}`, status: 501, want: "unimplemented"},
		{name: "a longer path", path: create + "/x", body: `{}`, status: 501, want: "unimplemented"},
		{name: "GET", path: create + "?" + url.Values{"message": {"{}"}, "encoding": {"json"}}.Encode(), method: "GET", status: 405, want: "POST"},
		{name: "a browser", path: create, body: `{}`, header: http.Header{"Origin": {"http://localhost"}}, status: 403, want: "browsers"},
		{name: "a browser without an origin", path: create, body: `{}`, header: http.Header{"Origin": {"null"}}, status: 403, want: "browsers"},
		{name: "a browser asking first", path: create, method: "OPTIONS", header: http.Header{"Origin": {"https://evil.example"}}, status: 403, want: "browsers"},
		{name: "another host", path: create, body: `{}`, host: "evil.example", status: 403, want: "host"},
		{name: "localhost with a port", path: create, body: `{"key":` + plainKey + `,"dry_run":true}`, host: "LOCALHOST:8080", status: 200, want: "sp_"},
		{name: "an API key", path: create, body: `{"key":` + plainKey + `}`, header: http.Header{"Authorization": {"Bearer sp_012345678901234567890123456789"}}, status: 403, want: "no API key opens the admin API"},
		{name: "an empty credential", path: create, body: `{"key":` + plainKey + `}`, header: http.Header{"Authorization": {""}}, status: 403, want: "no API key opens"},
		{name: "too large", path: create, body: `{"key":{"name":"` + strings.Repeat("x", maxRequest) + `"}}`, status: 429, want: "resource_exhausted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.method == "" {
				tc.method = "POST"
			}
			r, err := http.NewRequestWithContext(t.Context(), tc.method, "http://localhost"+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			for name, values := range tc.header {
				r.Header[name] = values
			}
			if tc.host != "" {
				r.Host = tc.host
			}
			before := b.store.Position()
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tc.status || !bytes.Contains(body, []byte(tc.want)) {
				t.Errorf("want %d and %q, have %d %s", tc.status, tc.want, response.StatusCode, body)
			}
			if response.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control is %q", response.Header.Get("Cache-Control"))
			}
			if tc.status != 200 && b.store.Position() != before {
				t.Error("a refused request changed the store")
			}
		})
	}
}

// The operator is whom the kernel says is at the other end; root here, or
// whoever runs the tests.
func TestPeerIsRecorded(t *testing.T) {
	b := start(t)
	for name, keys := range map[string]adminv1connect.KeyServiceClient{
		"connect": adminv1connect.NewKeyServiceClient(b.listen(http1), "http://localhost"),
		"gRPC":    adminv1connect.NewKeyServiceClient(b.listen(http2), "http://localhost", connect.WithGRPC()),
		"gRPCWeb": adminv1connect.NewKeyServiceClient(b.listen(http1), "http://localhost", connect.WithGRPCWeb()),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := keys.CreateKey(t.Context(), connect.NewRequest(&adminv1.CreateKeyRequest{As: "user:owner", Key: fields(t, roleKey)}))
			if err != nil {
				t.Fatal(err)
			}
			if out.Msg.GetKey().GetToken() == "" {
				t.Error("no token")
			}
			b.recorded("keys.create", Caller{Operator: ownUID(), Acting: "user:owner"})
			_, err = keys.GetKey(t.Context(), connect.NewRequest(&adminv1.GetKeyRequest{Id: out.Msg.GetKey().GetToken()}))
			if connect.CodeOf(err) != connect.CodeNotFound || strings.Contains(err.Error(), out.Msg.GetKey().GetToken()) {
				t.Errorf("a token in place of an id: %v", connect.CodeOf(err))
			}
		})
	}
}

// Without a peer that is known nothing is answered.
func TestNobody(t *testing.T) {
	b := start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: b.Handler(), ConnContext: ConnContext}}
	server.Start()
	defer server.Close()
	response, err := http.Post(server.URL+create, "application/json", strings.NewReader(`{"key":`+plainKey+`}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("a plain TCP client is answered %d", response.StatusCode)
	}
	ctx := WithOperator(t.Context(), "")
	if _, err := callerOf(ctx, ""); !errors.Is(err, ErrRefused) {
		t.Errorf("an empty operator: %v", err)
	}
}

// A certificate makes an operator of whom the list names, once it is verified.
func TestCertificateIsTheOperator(t *testing.T) {
	operators, err := link.ParseIdentities("operators", []string{"spiffe://example/ops", "spiffe://example/team/*", "ops.example"})
	if err != nil {
		t.Fatal(err)
	}
	ca := linktest.NewCA(t, "ca")
	for name, tc := range map[string]struct {
		leaf linktest.Leaf
		want string
	}{
		"a SPIFFE id":          {linktest.Leaf{URIs: []string{"spiffe://example/ops"}, DNSNames: []string{"a"}}, "cert:spiffe://example/ops"},
		"one below":            {linktest.Leaf{URIs: []string{"spiffe://example/team/ada"}}, "cert:spiffe://example/team/ada"},
		"a name":               {linktest.Leaf{DNSNames: []string{"www.example", "ops.example"}}, "cert:ops.example"},
		"a stranger":           {linktest.Leaf{URIs: []string{"spiffe://example/dev"}}, ""},
		"a stranger's name":    {linktest.Leaf{URIs: []string{"spiffe://example/dev"}, DNSNames: []string{"ops.example"}}, ""},
		"two SPIFFE ids":       {linktest.Leaf{URIs: []string{"spiffe://example/ops", "spiffe://example/team/ada"}}, ""},
		"a common name":        {linktest.Leaf{CommonName: "ops.example"}, ""},
		"nothing that is said": {linktest.Leaf{}, ""},
	} {
		certificate := ca.Issue(t, tc.leaf).Certificate
		r := httptest.NewRequestWithContext(t.Context(), "POST", create, nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
		if c, err := callerOf(withCertificate(r, link.NewAllowList(operators)).Context(), ""); err == nil {
			t.Errorf("%s: a certificate that isn't verified is %q", name, c.Operator)
		}
		r.TLS.VerifiedChains = [][]*x509.Certificate{{certificate}}
		if c, _ := callerOf(withCertificate(r, link.NewAllowList(operators)).Context(), ""); c.Operator != tc.want {
			t.Errorf("%s: operator %q, want %q", name, c.Operator, tc.want)
		}
		if c, err := callerOf(withCertificate(r, link.NewAllowList(link.Identities{})).Context(), ""); err == nil {
			t.Errorf("%s: an empty list has the operator %q", name, c.Operator)
		}
	}
}

// Over mutual TLS the store's log has who the certificate is of.
func TestCertificateIsRecorded(t *testing.T) {
	operators, err := link.ParseIdentities("operators", []string{"spiffe://example/ops"})
	if err != nil {
		t.Fatal(err)
	}
	ca := linktest.NewCA(t, "ca")
	source := func(l linktest.Leaf) *link.Source {
		s, err := link.Open(t.Context(), linktest.Write(t, t.TempDir(), ca.Issue(t, l), ca), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	b := start(t)
	b.operators = link.NewAllowList(operators)
	server := httptest.NewUnstartedServer(b.Handler())
	server.Config.ConnContext = ConnContext
	server.TLS = source(linktest.Leaf{DNSNames: []string{"localhost"}}).ServerTLS(b.operators, "http/1.1")
	server.StartTLS()
	defer server.Close()
	config := source(linktest.Leaf{URIs: []string{"spiffe://example/ops"}}).ClientTLS("localhost", link.NewAllowList(link.Identities{}))
	config.NextProtos = nil
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	_, err = adminv1connect.NewKeyServiceClient(client, server.URL).
		CreateKey(t.Context(), connect.NewRequest(&adminv1.CreateKeyRequest{As: "user:owner", Key: fields(t, roleKey)}))
	if err != nil {
		t.Fatal(err)
	}
	b.recorded("keys.create", Caller{Operator: "cert:spiffe://example/ops", Acting: "user:owner"})

	// Who is taken out is refused from the next request on, also on a connection that is open.
	b.operators.Set(link.Identities{})
	_, err = adminv1connect.NewKeyServiceClient(client, server.URL).ListKeys(t.Context(), connect.NewRequest(&adminv1.ListKeysRequest{}))
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("who is no operator any more is answered %v", err)
	}
}

// Hosts are asked for at each request: a certificate changes.
func TestHostsOfTheCertificate(t *testing.T) {
	b := start(t)
	var hosts []string
	b.hosts = func() []string { return hosts }
	ask := func(host string) int {
		r := httptest.NewRequestWithContext(WithOperator(t.Context(), "cert:a"), "POST", adminv1connect.PolicyServiceListPoliciesProcedure, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		r.Host = host
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, r)
		return w.Code
	}
	if got := ask("hub.example:9905"); got != http.StatusForbidden {
		t.Errorf("an unknown host: %d", got)
	}
	hosts = []string{"hub.example", "::2"}
	for _, host := range []string{"hub.example:9905", "HUB.example", "[::2]:1", "localhost"} {
		if got := ask(host); got != http.StatusOK {
			t.Errorf("%s: %d", host, got)
		}
	}
	for _, host := range []string{"a.hub.example", "hub.example.evil", "hub.example.", ""} {
		if got := ask(host); got != http.StatusForbidden {
			t.Errorf("%q: %d", host, got)
		}
	}
}

// A field of a later version isn't passed over in silence.
func TestUnknownBinaryFields(t *testing.T) {
	for name, message := range map[string][]byte{
		"on top": {0xf8, 0x07, 0x01},             // field 127
		"within": {0x12, 0x03, 0xf8, 0x07, 0x01}, // in key
		"broken": {0xff},
	} {
		t.Run(name, func(t *testing.T) {
			if err := (protoCodec{}).Unmarshal(message, &adminv1.CreateKeyRequest{}); err == nil {
				t.Error("accepted")
			}
		})
	}
	if err := (protoCodec{}).Unmarshal([]byte{0x12, 0x03, 0x0a, 0x01, 'x'}, &adminv1.CreateKeyRequest{}); err != nil {
		t.Error(err)
	}
}

func TestExtraServicesAreGuardedToo(t *testing.T) {
	b := start(t)
	b.extra = map[string]http.Handler{"/extra/": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "extra")
	})}
	for header, want := range map[string]int{"X-Other": 200, "Authorization": 403, "Origin": 403, "X-Nobody": 403} {
		ctx := t.Context()
		if header != "X-Nobody" {
			ctx = WithOperator(ctx, "uid:0")
		}
		r := httptest.NewRequestWithContext(ctx, "POST", "http://localhost/extra/Method", nil)
		r.Header.Set(header, "x")
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", header, w.Code, want)
		}
	}
}

func ownUID() string { return fmt.Sprintf("uid:%d", os.Geteuid()) }
