package envoytest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// The upstream keeps what it got to the byte: nothing is cleaned, joined or reordered.
func TestUpstreamKeepsBytes(t *testing.T) {
	u := envoytest.RunUpstream(t)
	raw := "GeT /a/../b//c%2F\xff?x=1 y#z HTTP/1.1\r\n" +
		"X-B: 1\r\nhost:  h \r\nX-A:\t\xfe\r\nx-b: 2\r\nX-Case: one\r\ncontent-length: 3\r\n\r\nabc"
	resp, err := envoytest.H1(t.Context(), u.Addr(), []byte(raw))
	if err != nil || resp.Status != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("got %+v, %v", resp, err)
	}
	recs := u.Take("one")
	if len(recs) != 1 || len(u.Take("one")) != 0 {
		t.Fatalf("%d records, want one, once", len(recs))
	}
	r := recs[0]
	if r.Line != "GeT /a/../b//c%2F\xff?x=1 y#z HTTP/1.1" || r.Method != "GeT" || r.Path != "/a/../b//c%2F\xff?x=1 y#z" ||
		r.Protocol != "HTTP/1.1" || r.Host != "h" || r.BodyBytes != 3 || string(r.Body) != "abc" {
		t.Errorf("got %+v", r)
	}
	want := []envoytest.Field{{Name: "X-B", Value: "1"}, {Name: "host", Value: "h"}, {Name: "X-A", Value: "\xfe"}, {Name: "x-b", Value: "2"}, {Name: "X-Case", Value: "one"}, {Name: "content-length", Value: "3"}}
	if !slices.Equal(r.Header, want) || !slices.Equal(r.Values("X-b"), []string{"1", "2"}) {
		t.Errorf("headers %q", r.Header)
	}
}

// One connection, several requests: each is recorded, one without a case under none.
func TestUpstreamPipelined(t *testing.T) {
	u := envoytest.RunUpstream(t)
	raw := "POST /1 HTTP/1.1\r\nx-case: a\r\ntransfer-encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nt: 1\r\n\r\n" +
		"GET /2 HTTP/1.1\nx-case: a\n\n" + "GET /3 HTTP/1.1\r\n\r\n" + "nonsense\r\n\r\n"
	resps, err := envoytest.H1Each(t.Context(), u.Addr(), []byte(raw), 5)
	if err != nil {
		t.Fatal(err)
	}
	var statuses []int
	for _, r := range resps {
		statuses = append(statuses, r.Status)
	}
	if !slices.Equal(statuses, []int{200, 200, 200, 400, 0}) || resps[4].Ending != envoytest.Closed {
		t.Errorf("statuses %v, the last %v", statuses, resps[4].Ending)
	}
	named, unnamed := u.Take("a"), u.Take("")
	if len(named) != 2 || named[0].BodyBytes != 3 || named[1].Path != "/2" || len(unnamed) != 1 || unnamed[0].Path != "/3" || u.Count() != 3 {
		t.Errorf("named %+v, unnamed %+v, %d in all", named, unnamed, u.Count())
	}
}

// What breaks off in the middle is no request.
func TestUpstreamBrokenRequests(t *testing.T) {
	u := envoytest.RunUpstream(t)
	for _, raw := range []string{
		"GET /\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
		"GET / HTTP/1.1\r\nx: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
	} {
		if resp, err := envoytest.H1(t.Context(), u.Addr(), []byte(raw)); err != nil || resp.Status == 200 {
			t.Errorf("%.40q: %+v, %v", raw, resp, err)
		}
	}
	if n := u.Count(); n != 0 {
		t.Errorf("%d requests recorded", n)
	}
}

// Records that nobody takes do not pile up.
func TestUpstreamForgets(t *testing.T) {
	u := envoytest.RunUpstream(t)
	const requests = 1<<14 + 10
	var raw strings.Builder
	for i := range requests {
		fmt.Fprintf(&raw, "HEAD / HTTP/1.1\r\nx-case: c%d\r\n\r\n", i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // for sixteen thousand answers
	defer cancel()
	resps, err := envoytest.H1Each(ctx, u.Addr(), []byte(raw.String()), requests)
	if err != nil || resps[requests-1].Status != 200 {
		t.Fatalf("%+v, %v", resps[requests-1], err)
	}
	if first, last := u.Take("c0"), u.Take(fmt.Sprintf("c%d", requests-1)); len(first) != 0 || len(last) != 1 {
		t.Errorf("the first is there %d times, the last %d times", len(first), len(last))
	}
}
