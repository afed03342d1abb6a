package oracle

import (
	"strings"
	"testing"
)

var hosts = map[string]string{
	"kodey": "api.kodey.example", "cuneiform": "api.cuneiform.example",
	"spotzee": "apix.spotzee.com", "shortkit": "api.shortkit.dev",
}

// request is "METHOD /path" with a named key of the fixture, on the key's host.
func request(w *World, key, line string, headers ...Header) Request {
	method, path, _ := strings.Cut(line, " ")
	k := w.Find(key)
	host := hosts[k.Policy]
	if k.Policy == "shortkit" && k.Environment == "test" {
		host = "api.staging.shortkit.dev"
	}
	hs := append([]Header{{"authorization", "Bearer " + k.Token}}, headers...)
	return Request{Method: method, Host: host, Path: path, Headers: hs}
}

// expect decides and compares the reason; status and allow must agree with it.
func expect(t *testing.T, w *World, r Request, reason string) Decision {
	t.Helper()
	d := w.Decide(r)
	if d.Reason != reason {
		t.Errorf("%s %s%s: reason %s, want %s", r.Method, r.Host, r.Path, d.Reason, reason)
	}
	status := 403
	switch d.Reason {
	case "ALLOWED":
		status = 200
	case "KEY_MISSING", "KEY_AMBIGUOUS", "KEY_MALFORMED", "KEY_UNKNOWN", "KEY_REVOKED", "KEY_EXPIRED", "KEY_DISABLED", "PRINCIPAL_GONE":
		status = 401
	}
	if d.Status != status || d.Allow != (status == 200) {
		t.Errorf("%s %s: %s with status %d, allow %v", r.Method, r.Path, d.Reason, d.Status, d.Allow)
	}
	return d
}

// table checks rows "METHOD /path  reason" for one key.
func table(t *testing.T, key, rows string) {
	t.Helper()
	w := Fixture()
	for _, row := range strings.Split(strings.TrimSpace(rows), "\n") {
		f := strings.Fields(row)
		expect(t, w, request(w, key, f[0]+" "+f[1]), f[2])
	}
}

var allMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
