package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/bench/stock"
)

const (
	host = "api.kodey.example"

	// mostRequests is how many requests there are at most; they are sent in turn. Each
	// is of another key.
	mostRequests = 16384
	// stride is how far apart their keys are in the store. It is prime, so that every
	// type of key has its share.
	stride = 7919
)

// asking is one request of a client.
type asking struct {
	method, path string
	token        string
	team         string // x-team-id; empty for none

	known   bool // the key is in the store
	allowed bool // by the kodey policy
}

// work is what clients ask of an API with so many keys, encoded for everyone who is
// asked about it.
type work struct {
	asked []asking
	// raw and joined are CheckRequests with headers as Envoy sends them with
	// encode_raw_headers and without; http is what the client sends Envoy.
	raw, joined, http [][]byte
}

func newWork(keys int) (*work, error) {
	w := &work{}
	for i := range min(keys, mostRequests) {
		a := nthAsking(i, keys)
		w.asked = append(w.asked, a)
		w.http = append(w.http, a.http())
		for raw, into := range map[bool]*[][]byte{true: &w.raw, false: &w.joined} {
			encoded, err := proto.Marshal(a.check(i, raw))
			if err != nil {
				return nil, err
			}
			*into = append(*into, encoded)
		}
	}
	return w, nil
}

// What keys of each type are used for.
var uses = map[string][]string{
	stock.Publishable: {"GET /v1/chat", "POST /v1/chat", "GET /v1/chat/c_81", "POST /v1/chat/c_81/messages"},
	stock.Secret: {
		"POST /v1/chat", "GET /v1/agents", "POST /v1/agents/a_7/run", "GET /v1/workflows/w_3", "POST /v1/workflows/w_3/runs",
		"GET /v1/mcp/servers", "GET /v1/files/f_12/content", "DELETE /v1/files/f_12", "POST /v1/webhooks/h_2/test",
	},
	stock.UserSecret: {
		"POST /v1/chat", "GET /v1/agents/a_7", "GET /v1/members", "POST /v1/members/invitations", "GET /v1/billing/invoices",
		"PATCH /v1/team-settings", "GET /v1/teams/{team}", "POST /v1/teams/{team}/archive", "GET /v1/api-keys",
	},
}

// misuses are requests that each type is refused.
var misuses = map[string]string{stock.Publishable: "GET /v1/agents", stock.Secret: "GET /v1/members", stock.UserSecret: "GET /v1/teams/t_elsewhere"}

// nthAsking returns the nth request to an API with so many keys. Of 31 one comes with a
// key that nobody has issued, and one asks for what its key doesn't open; two of three
// name their team. These numbers have nothing in common with those of the keys.
func nthAsking(n, keys int) asking {
	number := n * stride % keys
	c := stock.Nth(number)
	a := asking{known: true, allowed: true, token: c.Token}
	use := uses[c.Kind][n/20%len(uses[c.Kind])]
	switch n % 31 {
	case 5:
		a.known, a.allowed = false, false
		a.token = stock.Nth(number + keys).Token
	case 21:
		a.allowed = false
		use = misuses[c.Kind]
	}
	a.method, a.path, _ = strings.Cut(strings.ReplaceAll(use, "{team}", c.Team), " ")
	if n%3 > 0 && !strings.HasPrefix(a.path, "/v1/teams/") {
		a.team = c.Team
	}
	return a
}

// status is what the client is answered by whoever holds it against the policy.
func (a *asking) status() int {
	switch {
	case a.allowed:
		return http.StatusOK
	case a.known:
		return http.StatusForbidden
	}
	return http.StatusUnauthorized
}

// common are the headers that a client in a mesh sends beside those of its
// request. A CheckRequest with all of them has about a thousand bytes.
var common = [][2]string{
	{"user-agent", "kodey-sdk-python/2.14.0 (linux; x86_64)"},
	{"accept", "application/json"},
	{"accept-encoding", "gzip, deflate, br"},
	{"accept-language", "en-GB,en;q=0.9"},
	{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	{"tracestate", "kodey=00f067aa0ba902b7"},
	{"x-sdk-retry-count", "0"},
}

// requestID is one that Envoy could have made.
func requestID(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "request %d", n))
	return fmt.Sprintf("%x-%x-4%x-8%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])[:36]
}

// headers are those that the authorization server is shown, in their order.
func (a *asking) headers(n int) [][2]string {
	out := append([][2]string{
		{":authority", host},
		{":path", a.path},
		{":method", a.method},
		{":scheme", "https"},
		{"authorization", "Bearer " + a.token},
	}, common...)
	if a.method == http.MethodPost || a.method == http.MethodPatch {
		out = append(out, [2]string{"content-type", "application/json"})
	}
	if a.team != "" {
		out = append(out, [2]string{"x-team-id", a.team})
	}
	return append(out, [2]string{"x-forwarded-for", "203.0.113.7"}, [2]string{"x-forwarded-proto", "https"}, [2]string{"x-request-id", requestID(n)})
}

// check is what Envoy asks about the request.
func (a *asking) check(n int, raw bool) *authv3.CheckRequest {
	address := func(port uint32) *authv3.AttributeContext_Peer {
		return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}},
		}}}
	}
	r := &authv3.AttributeContext_HttpRequest{
		Id: fmt.Sprintf("%d", 7132155196886617203+n), Method: a.method, Path: a.path, Host: host, Scheme: "https", Protocol: "HTTP/1.1",
	}
	if raw {
		r.HeaderMap = &corev3.HeaderMap{}
	} else {
		r.Headers = map[string]string{}
	}
	for _, h := range a.headers(n) {
		if raw {
			r.HeaderMap.Headers = append(r.HeaderMap.Headers, &corev3.HeaderValue{Key: h[0], RawValue: []byte(h[1])})
		} else {
			r.Headers[h[0]] = h[1]
		}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source:      address(uint32(32768 + n%20000)),
		Destination: address(10000),
		Request: &authv3.AttributeContext_Request{
			Time: timestamppb.New(time.Unix(1795367184, 801199000)),
			Http: r,
		},
		MetadataContext:      &corev3.Metadata{},
		RouteMetadataContext: &corev3.Metadata{},
	}}
}

// http is what the client sends. A request that could have a body has an empty one.
func (a *asking) http() []byte {
	out := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nhost: %s\r\nauthorization: Bearer %s\r\n", a.method, a.path, host, a.token)
	for _, h := range common {
		out = fmt.Appendf(out, "%s: %s\r\n", h[0], h[1])
	}
	if a.method == http.MethodPost || a.method == http.MethodPatch {
		out = append(out, "content-type: application/json\r\ncontent-length: 0\r\n"...)
	}
	if a.team != "" {
		out = fmt.Appendf(out, "x-team-id: %s\r\n", a.team)
	}
	return append(out, "\r\n"...)
}
