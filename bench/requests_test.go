package main

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/bench/stock"
)

// What is asked has some of everything, is mostly allowed, and says the same to whoever
// is asked.
func TestWork(t *testing.T) {
	const keys = 10_000
	w, err := newWork(keys)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.asked) != keys || len(w.raw) != keys || len(w.joined) != keys || len(w.http) != keys {
		t.Fatalf("%d requests, %d, %d and %d encoded", len(w.asked), len(w.raw), len(w.joined), len(w.http))
	}
	tokens := map[string]bool{}
	statuses := map[string]map[int]int{stock.Publishable: {}, stock.Secret: {}, stock.UserSecret: {}}
	for i := range w.asked {
		a := &w.asked[i]
		tokens[a.token] = true
		for kind, prefix := range stock.Prefixes {
			if strings.HasPrefix(a.token, prefix) {
				statuses[kind][a.status()]++
			}
		}
		if n := len(w.raw[i]); n < 400 || n > 1024 {
			t.Fatalf("request %d has %d bytes", i, n)
		}
		check := &authv3.CheckRequest{}
		if err := proto.Unmarshal(w.raw[i], check); err != nil {
			t.Fatal(err)
		}
		sent, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(w.http[i])))
		if err != nil {
			t.Fatal(err)
		}
		seen := check.GetAttributes().GetRequest().GetHttp()
		if seen.GetMethod() != sent.Method || seen.GetPath() != sent.RequestURI || seen.GetHost() != sent.Host {
			t.Fatalf("request %d: %v, and Envoy is sent %v", i, seen, sent)
		}
		for _, h := range seen.GetHeaderMap().GetHeaders() {
			if name := h.GetKey(); name == "authorization" || name == "x-team-id" || name == "content-type" {
				if got := sent.Header.Get(name); got != string(h.GetRawValue()) {
					t.Fatalf("request %d: %s is %q, and Envoy is sent %q", i, name, h.GetRawValue(), got)
				}
			}
		}
	}
	if len(tokens) != keys {
		t.Errorf("%d tokens in %d requests", len(tokens), keys)
	}
	for kind, of := range statuses {
		if all := of[200] + of[401] + of[403]; of[401] == 0 || of[403] == 0 || of[200]*10 < all*9 {
			t.Errorf("%s: %v", kind, of)
		}
	}
}
