package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/latchkey/latchkey/internal/link/linktest"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
)

// The key types of the examples that keyKinds lacks.
var otherKinds = []*keyKind{
	{policy: "kodey", keyType: "publishable", environment: "live", owner: "team", prefix: "pk_live_", secret: 30},
	{policy: "spotzee", keyType: "publishable", owner: "project", prefix: "pk_", secret: 32},
	{policy: "spotzee", keyType: "organisation", owner: "organisation", prefix: "ok_", secret: 32},
}

// services are all that the processes offer, by descriptors: a new method is called without being added here.
var services = []protoreflect.FileDescriptor{
	adminv1.File_latchkey_admin_v1_admin_proto, replicav1.File_latchkey_replica_v1_replica_proto,
	authv3.File_envoy_service_auth_v3_external_auth_proto, grpc_health_v1.File_grpc_health_v1_health_proto,
}

// methodsOf are the full names of the methods of a file's services.
func methodsOf(file protoreflect.FileDescriptor) (names []string) {
	for i := range file.Services().Len() {
		s := file.Services().Get(i)
		for j := range s.Methods().Len() {
			names = append(names, fmt.Sprintf("/%s/%s", s.FullName(), s.Methods().Get(j).Name()))
		}
	}
	return names
}

// listener is one that is called, and whom it lets in: by the caller's name, which files of services; "*" is anybody.
type listener struct {
	address string // host:port, or unix:PATH
	tls     bool
	answers map[string][]protoreflect.FileDescriptor
}

// Nobody but those who are listed gets an answer of any method of any service on any listener, by whatever certificate
// and API key.
func TestRefusals(t *testing.T) {
	world := newRefusals(t)
	admin, replica, check, health := services[0], services[1], services[2], services[3]
	files := func(f ...protoreflect.FileDescriptor) []protoreflect.FileDescriptor { return f }
	listeners := map[string]*listener{
		"admin":         {world.admin, true, map[string][]protoreflect.FileDescriptor{"operator": files(admin)}},
		"hub":           {world.hub, true, map[string][]protoreflect.FileDescriptor{"follower": files(replica), "follower with an API key": files(replica)}},
		"check":         {"unix:" + filepath.Join(world.data, "authz.sock"), false, map[string][]protoreflect.FileDescriptor{"*": files(check, health)}},
		"sidecar check": {world.podCheck, false, map[string][]protoreflect.FileDescriptor{"*": files(check, health)}},
		"sidecar http":  {world.podHTTP, false, map[string][]protoreflect.FileDescriptor{"*": files(health)}},
	}
	calls, answered := 0, 0
	for name, l := range listeners {
		for caller, config := range world.callers {
			if !l.tls && config != nil && caller != "operator" {
				continue // no certificate is looked at there
			}
			for _, key := range world.tried(config) {
				who := caller
				if key != "" {
					who += " with an API key"
				}
				may := append(slices.Clone(l.answers[who]), l.answers["*"]...)
				if l.tls && config == nil || !l.tls && config != nil {
					may = nil // it doesn't speak so
				}
				conn := world.dial(t, l, config)
				for _, file := range services {
					for _, method := range methodsOf(file) {
						calls++
						code, answers := world.call(t, conn, method, world.keys[key])
						if answers {
							answered++
						}
						if answers != slices.Contains(may, file) {
							t.Errorf("%s, %s, key %q, %s: answered %t (%s)", name, caller, key, method, answers, code)
						}
					}
				}
				_ = conn.Close()
				if l.tls {
					n, err := world.post(l, config, world.keys[key], methodsOf(admin))
					calls += len(methodsOf(admin))
					if wants := slices.Contains(may, admin); err != nil || (n > 0) != wants {
						t.Errorf("%s, %s, key %q, as JSON: %d answers, %v", name, caller, key, n, err)
					}
					answered += n
				}
			}
		}
	}
	t.Logf("%d calls, of %d methods, by %d callers with %d kinds of API keys; %d answered, all of them listed", calls, len(methodsOf(admin))+len(methodsOf(replica))+len(methodsOf(check))+len(methodsOf(health)), len(world.callers), len(world.keys)-1, answered)
}

// refusals is a hub with TCP listeners, a sidecar that follows it, and those who call them.
type refusals struct {
	data              string
	admin, hub        string
	podCheck, podHTTP string
	ca                *linktest.CA
	callers           map[string]*tls.Config // nil: without TLS
	keys              map[string]string      // tokens by policy and type; "" is none
}

func newRefusals(t *testing.T) *refusals {
	sum := &tally{acks: map[string]int{}, done: map[string]int{}, undone: map[string]int{}}
	h := newHistory(t, sum, 1)
	h.load(1)
	dir := filepath.Dir(h.data)
	w := &refusals{data: h.data, admin: freePort(t), hub: freePort(t), podHTTP: freePort(t), keys: map[string]string{"": ""}}
	for _, k := range h.still.alive {
		w.keys[k.kind.policy+" "+k.kind.keyType] = k.current
	}
	for _, kind := range otherKinds {
		w.keys[kind.policy+" "+kind.keyType] = kind.token(h.rand)
	}
	w.ca = linktest.NewCA(t, "ours")
	other := linktest.NewCA(t, "another")
	config := func(ca *linktest.CA, l linktest.Leaf) *tls.Config {
		p := ca.Issue(t, l)
		return w.tls(&tls.Certificate{Certificate: [][]byte{p.Certificate.Raw}, PrivateKey: p.Key})
	}
	operator, follower := linktest.Leaf{URIs: []string{"spiffe://mesh/ops"}}, linktest.Leaf{URIs: []string{"spiffe://mesh/pods/a"}}
	expired := operator
	expired.URIs, expired.From, expired.Until = []string{"spiffe://mesh/ops"}, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	w.callers = map[string]*tls.Config{
		"nobody, without TLS":        nil,
		"nobody":                     w.tls(nil),
		"operator":                   config(w.ca, operator),
		"follower":                   config(w.ca, follower),
		"operator of another CA":     config(other, operator),
		"follower of another CA":     config(other, follower),
		"operator, expired":          config(w.ca, expired),
		"somebody else":              config(w.ca, linktest.Leaf{URIs: []string{"spiffe://mesh/somebody"}}),
		"below the operator":         config(w.ca, linktest.Leaf{URIs: []string{"spiffe://mesh/ops/a"}}),
		"above the followers":        config(w.ca, linktest.Leaf{URIs: []string{"spiffe://mesh/pods"}}),
		"a name in place of an id":   config(w.ca, linktest.Leaf{CommonName: "spiffe://mesh/ops", DNSNames: []string{"ops"}}),
		"two ids at the same time":   config(w.ca, linktest.Leaf{URIs: []string{"spiffe://mesh/ops", "spiffe://mesh/pods/a"}}),
		"no client's certificate":    config(w.ca, linktest.Leaf{URIs: operator.URIs, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}),
		"operator of another domain": config(w.ca, linktest.Leaf{URIs: []string{"spiffe://other/ops"}}),
	}
	write := func(folder, text string, l linktest.Leaf) string {
		folder = filepath.Join(dir, folder)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		linktest.Write(t, folder, w.ca.Issue(t, l), w.ca)
		file := filepath.Join(folder, "config.yaml")
		if err := os.WriteFile(file, []byte(text+"tls: {certificate: tls.crt, key: tls.key, ca: ca.crt}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	hub := write("hub", "admin: "+w.admin+"\nhub_listen: "+w.hub+"\noperators: [spiffe://mesh/ops]\nfollowers: [spiffe://mesh/pods/*]\n",
		linktest.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, URIs: []string{"spiffe://mesh/hub"}})
	v, err := startVictim(h.data, "--config", hub)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.kill() })
	side := write("side", "hub: ["+w.hub+"]\n", follower)
	p, err := startPod(filepath.Join(dir, "pod"), "pod", "--config", side, "--http", w.podHTTP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.kill() })
	w.podCheck = "unix:" + filepath.Join(dir, "pod") + ".sock"
	eventually(t, "the sidecar follows the hub", func() error {
		got, err := p.ask(t.Context(), kodeyTeam, w.keys["kodey secret"])
		if err == nil && got != http.StatusOK {
			err = fmt.Errorf("a live key is answered %d: %s\n%s", got, p.log.tail(3), v.log.tail(3))
		}
		return err
	})
	return w
}

// tried are the API keys that a caller tries: one will do for who isn't let in for his certificate.
func (w *refusals) tried(config *tls.Config) []string {
	keys := slices.Sorted(maps.Keys(w.keys))
	if config == nil || config == w.callers["operator"] || config == w.callers["follower"] || config == w.callers["nobody"] {
		return keys
	}
	return keys[:2]
}

// tls is the configuration of a client that believes the processes.
func (w *refusals) tls(own *tls.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(w.ca.Certificate)
	c := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	if own != nil {
		// Shown whatever the other end asks for.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	return c
}

func (w *refusals) dial(t *testing.T, l *listener, config *tls.Config) *grpc.ClientConn {
	t.Helper()
	by := insecure.NewCredentials()
	if config != nil {
		by = credentials.NewTLS(config)
	}
	c, err := grpc.NewClient(l.address, grpc.WithTransportCredentials(by), quickly)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// call calls a method with an empty message, and reports whether anything but a refusal came back. What can't be
// connected to refuses.
func (w *refusals) call(t *testing.T, c *grpc.ClientConn, method, token string) (code string, answers bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	if c.GetState() == connectivity.TransientFailure {
		return "no connection", false
	}
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true} // for methods of every kind
	stream, err := c.NewStream(ctx, desc, method)
	if err == nil {
		if err = stream.SendMsg(&emptypb.Empty{}); err == nil {
			_ = stream.CloseSend()
		}
		err = stream.RecvMsg(&emptypb.Empty{}) // the first answer will do
	}
	if err == nil {
		return "OK", true
	}
	code = codeOf(err)
	return code, !slices.Contains([]string{"Unavailable", "PermissionDenied", "Unauthenticated", "Unimplemented"}, code)
}

// codeOf is the name of a gRPC error's code.
func codeOf(err error) string {
	_, rest, _ := strings.Cut(err.Error(), "code = ")
	name, _, _ := strings.Cut(rest, " ")
	return name
}

// post calls methods with JSON over HTTP, and returns how many answered.
func (w *refusals) post(l *listener, config *tls.Config, token string, names []string) (answered int, err error) {
	scheme := "http://"
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: patience}
	if config != nil {
		scheme = "https://"
	}
	defer client.CloseIdleConnections()
	for _, name := range names {
		r, err := http.NewRequest(http.MethodPost, scheme+l.address+name, strings.NewReader("{}"))
		if err != nil {
			return answered, err
		}
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := client.Do(r)
		if err != nil {
			return answered, nil // no connection: as good for the others
		}
		_ = answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusForbidden, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		case http.StatusBadRequest:
			if scheme == "http://" {
				continue // TLS is expected
			}
			answered++
		default:
			answered++
		}
	}
	return answered, nil
}
