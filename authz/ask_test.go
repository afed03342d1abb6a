package authz

import (
	"context"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// form is how Envoy shows headers.
type form bool

const (
	mapped form = false
	raw    form = true // encode_raw_headers
)

// envoy makes the CheckRequest that Envoy makes of a request to
// api.acme.example. Headers are written `name: value`; `host` is the host.
func envoy(f form, method, target string, headers ...string) *authv3.CheckRequest {
	http := &authv3.AttributeContext_HttpRequest{Method: method, Path: rendered(target), Host: "api.acme.example"}
	shown := map[string]string{":path": rendered(target), ":method": method}
	list := []*corev3.HeaderValue{{Key: ":path", RawValue: []byte(target)}, {Key: ":method", RawValue: []byte(method)}}
	inline := map[string]*corev3.HeaderValue{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "host" {
			http.Host = value
			continue
		}
		if old, twice := shown[name]; twice {
			shown[name] = old + "," + rendered(value)
		} else {
			shown[name] = rendered(value)
		}
		if first := inline[name]; first != nil {
			first.RawValue = append(first.RawValue, ","+value...)
			continue
		}
		entry := &corev3.HeaderValue{Key: name, RawValue: []byte(value)}
		if name == "authorization" {
			inline[name] = entry
		}
		list = append(list, entry)
	}
	if f == raw {
		http.HeaderMap = &corev3.HeaderMap{Headers: list}
	} else {
		http.Headers = shown
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: http}}}
}

// rendered is text as Envoy shows it: each byte that isn't UTF-8 is '!'.
func rendered(text string) string {
	var b strings.Builder
	for i, c := range text {
		if c == '�' && !strings.HasPrefix(text[i:], "�") {
			b.WriteByte('!')
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// heard is a CheckResponse in plain words.
type heard struct {
	reason   string
	allowed  bool
	status   int // 200 where it is allowed
	code     codes.Code
	headers  map[string]string // of the refusal, or those that the upstream gets
	removed  map[string]bool
	body     string
	metadata map[string]any
}

// check asks a server of its own at noon.
func (w *world) check(tb testing.TB, c *authv3.CheckRequest) heard { return w.checkAt(tb, c, noon) }

func (w *world) checkAt(tb testing.TB, c *authv3.CheckRequest, now time.Time) heard {
	tb.Helper()
	s := NewServer(Options{Source: w.view, Now: func() time.Time { return now }})
	got, err := s.Check(context.Background(), c)
	if err != nil {
		tb.Fatalf("Check: %v", err)
	}
	return readAnswer(tb, got)
}

// readAnswer reads a response as Envoy does, and fails where Envoy and we could
// understand it differently.
func readAnswer(tb testing.TB, got *authv3.CheckResponse) heard {
	tb.Helper()
	if _, err := proto.Marshal(got); err != nil {
		tb.Errorf("a response that can't be sent: %v", err)
	}
	a := heard{code: codes.Code(got.GetStatus().GetCode()), headers: map[string]string{}, removed: map[string]bool{}}
	a.metadata = got.GetDynamicMetadata().AsMap()
	a.reason, _ = a.metadata["reason"].(string)
	list := got.GetDeniedResponse().GetHeaders()
	if ok := got.GetOkResponse(); ok != nil {
		a.allowed, a.status, list = true, 200, ok.GetHeaders()
		for _, name := range ok.GetHeadersToRemove() {
			a.removed[name] = true
		}
	} else {
		a.status, a.body = int(got.GetDeniedResponse().GetStatus().GetCode()), got.GetDeniedResponse().GetBody()
	}
	for _, h := range list {
		name := h.GetHeader().GetKey()
		if _, twice := a.headers[name]; twice {
			tb.Errorf("the header %s is set twice", name)
		}
		if a.removed[name] {
			tb.Errorf("the header %s is set and removed", name)
		}
		a.headers[name] = h.GetHeader().GetValue()
	}
	if a.allowed != (a.code == codes.OK) || !a.allowed && a.status < 400 || got.GetStatus() == nil {
		tb.Errorf("a response that contradicts itself: %v", got)
	}
	if !a.allowed && a.headers["cache-control"] != "no-store" {
		tb.Errorf("a refusal may be cached: %v", a.headers)
	}
	return a
}
