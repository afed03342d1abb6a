package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// steadyRate is how many requests a second reloads and restarts are made under.
const steadyRate = 1000

// reloads returns how often policies are changed: LATCHKEY_RELOADS, or a few times.
func reloads(t *testing.T) int {
	t.Helper()
	text := os.Getenv("LATCHKEY_RELOADS")
	if text == "" {
		return 24
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("LATCHKEY_RELOADS is %q: write how many changes of policies there are to be", text)
	}
	return n
}

// seen is what one request was answered.
type seen struct {
	policy, path string
	least        int // version that it must have
	status       int
	version      int    // of all facts in the answer
	problem      string // why they aren't of one version
	err          error
}

// Policies are changed while requests are answered, in a file, by the kubelet's swap of two at once and by the admin API,
// each good one followed by a bad one. No answer has facts of two versions, none is of a version that its revision hasn't,
// none is of an older version than the one that was known to be in use when its request began, and none is an error.
func TestNoAnswerIsAMixtureOfPolicies(t *testing.T) {
	n := reloads(t)
	r := newReloading(t)
	m := startMesh(t, filepath.Join(r.dir, "data", "authz.sock"))
	var mu sync.Mutex
	all := map[int]*seen{}
	load := &steady{address: m.envoy.Addr(string(envoytest.Hardened)), rate: steadyRate}
	load.ask = func(n int) []byte {
		s := &seen{policy: reloadedPolicies[n%len(reloadedPolicies)], path: []string{"/v1/same", "/v1/turn"}[n/len(reloadedPolicies)%2]}
		s.least = int(r.least[s.policy].Load())
		mu.Lock()
		all[n] = s
		mu.Unlock()
		return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nhost: %s.example\r\nauthorization: Bearer %s\r\nx-case: %d\r\n\r\n", s.path, s.policy, r.keys[s.policy], n)
	}
	load.noted = func(n, status int, header http.Header, body []byte, err error) {
		mu.Lock()
		s := all[n]
		mu.Unlock()
		s.status, s.err = status, err
		if err == nil {
			s.version, s.problem = s.facts(header, body)
		}
	}
	stop := load.start()
	began := time.Now()
	for i := range n {
		r.change(i)
	}
	took := time.Since(began)
	stop()

	count := r.judge(m, all)
	t.Logf("%d changes in %s, of which %d were bad, under %.0f requests a second: %d answers of %d revisions, %d allowed and %d refused, %d wrong; metrics %v",
		n, took.Round(time.Millisecond), count.bad(n), load.reached(), len(all), count.revisions, count.allowed, count.refused, count.wrong, r.figures)
	if count.revisions < n/4 {
		t.Errorf("answers of %d revisions came in %d changes: the load is too low to prove anything", count.revisions, n)
	}
}

// facts returns the version that all facts of an answer are of, or why they aren't of one.
func (s *seen) facts(header http.Header, body []byte) (version int, problem string) {
	found := map[string]string{}
	switch s.status {
	case http.StatusOK:
		var echo envoytest.Echo
		if err := json.Unmarshal(body, &echo); err != nil {
			return 0, err.Error()
		}
		for _, h := range echo.Headers {
			switch h[0] {
			case "x-latchkey-endpoint":
				found["endpoint"] = strings.TrimPrefix(h[1], "E")
			case "x-latchkey-scopes":
				found["scopes"] = strings.TrimPrefix(h[1], "s")
			}
		}
	case http.StatusForbidden:
		var reply struct{ Version, Reason string }
		if err := json.Unmarshal(body, &reply); err != nil {
			return 0, err.Error()
		}
		found["body"], found["header"] = reply.Version, header.Get("x-version")
		if reply.Reason != "ENDPOINT_UNKNOWN" {
			return 0, reply.Reason
		}
	default:
		return 0, fmt.Sprintf("answered %d: %.200q", s.status, body)
	}
	version = -1
	for name, text := range found {
		v, err := strconv.Atoi(text)
		if err != nil || version >= 0 && v != version {
			return 0, fmt.Sprintf("%s is %q beside %v", name, text, found)
		}
		version = v
	}
	refused := s.path == "/v1/turn" && version%2 == 1
	if len(found) != 2 || refused != (s.status == http.StatusForbidden) {
		return 0, fmt.Sprintf("answered %d with the facts %v", s.status, found)
	}
	return version, ""
}

// counted is what came of the requests.
type counted struct{ revisions, allowed, refused, wrong int }

// bad is how many of n changes were bad.
func (counted) bad(n int) (bad int) {
	for i := range n {
		bad += i / 3 % 2
	}
	return bad
}

// judge holds each answer against the history of the revisions, and against what Envoy was told of the request.
func (r *reloading) judge(m *mesh, all map[int]*seen) counted {
	t := r.t
	t.Helper()
	var c counted
	wrong := 0
	fail := func(n int, format string, args ...any) {
		if wrong++; wrong <= 10 {
			t.Errorf("request %d, %s %s: %s", n, all[n].policy, all[n].path, fmt.Sprintf(format, args...))
		}
	}
	revisions := map[uint64]bool{}
	entries := accessEntries(t, m, len(all))
	for n, s := range all {
		e, ok := entries[strconv.Itoa(n)]
		switch {
		case s.err != nil:
			fail(n, "no answer: %v", s.err)
			continue
		case s.problem != "":
			fail(n, "%s", s.problem)
			continue
		case !ok:
			fail(n, "Envoy logged nothing")
			continue
		}
		revision, _ := e.Metadata["revision"].(float64)
		history := r.at[uint64(revision)]
		switch {
		case history == nil:
			fail(n, "it is of revision %v, which none of the changes made", e.Metadata["revision"])
		case history[s.policy] != s.version:
			fail(n, "it has facts of version %d, and its revision %v has version %d", s.version, revision, history[s.policy])
		case s.version < s.least:
			fail(n, "it has facts of version %d, when version %d was in use before it began", s.version, s.least)
		case e.Status != s.status || e.Metadata["policy"] != s.policy:
			fail(n, "answered %d, and Envoy knows of %d by policy %v", s.status, e.Status, e.Metadata["policy"])
		case s.status == http.StatusOK && (e.Metadata["endpoint"] != fmt.Sprintf("E%d", s.version) || e.Metadata["scopes"] != fmt.Sprintf("s%d", s.version)):
			fail(n, "it has facts of version %d, and Envoy was told of %v, %v", s.version, e.Metadata["endpoint"], e.Metadata["scopes"])
		}
		revisions[uint64(revision)] = true
		if s.status == http.StatusOK {
			c.allowed++
		} else {
			c.refused++
		}
	}
	if wrong > 10 {
		t.Errorf("and %d more", wrong-10)
	}
	c.revisions, c.wrong = len(revisions), wrong
	return c
}

// accessEntries returns what Envoy logged of requests with a case, once it has logged so many.
func accessEntries(t *testing.T, m *mesh, want int) map[string]envoytest.AccessEntry {
	t.Helper()
	entries := map[string]envoytest.AccessEntry{}
	eventually(t, "Envoy has logged all requests", func() error {
		f, err := os.Open(filepath.Join(m.envoy.Dir(), "access.log"))
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		clear(entries)
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var e envoytest.AccessEntry
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Case != "" && e.Case != "-" {
				entries[e.Case] = e
			}
		}
		if len(entries) < want {
			return fmt.Errorf("%d of %d", len(entries), want)
		}
		return lines.Err()
	})
	return entries
}
