package corpus

import (
	"errors"
	"slices"
	"testing"

	"github.com/latchkey/latchkey/internal/oracle"
)

// right is what a faultless Envoy and a faultless check would show.
func right(w *oracle.World, p Profile, c Case) Seen {
	o := model(p, c)
	if o.pass == nil {
		return Seen{Status: o.own[0]}
	}
	d := w.Decide(*o.pass)
	if !d.Allow {
		if isGRPC(c) {
			return Seen{Status: 200, GRPCStatus: map[int]string{401: "16", 403: "7"}[d.Status]}
		}
		return Seen{Status: d.Status}
	}
	up := Upstream{Method: o.pass.Method, Path: sentPath(*o.pass), Host: o.pass.Host}
	for _, h := range c.sent.headers {
		if !slices.Contains(d.Remove, h.Name) && d.Identity[h.Name] == "" && d.TenantHeaders[h.Name] == "" && !slices.Contains(oracle.IdentityHeaders, h.Name) {
			up.Headers = append(up.Headers, h)
		}
	}
	for _, set := range []map[string]string{d.Identity, d.TenantHeaders, {"x-latchkey-endpoint": "an endpoint"}} {
		for name, value := range set {
			up.Headers = append(up.Headers, oracle.Header{Name: name, Value: value})
		}
	}
	return Seen{Status: 200, Reached: true, Upstream: up}
}

// TestJudgeAcceptsNothingElse shows for every case that what is right is
// accepted, and that each way to be wrong is not.
func TestJudgeAcceptsNothingElse(t *testing.T) {
	w := oracle.Fixture()
	verdicts := map[string]int{}
	for _, c := range Cases(w) {
		for _, p := range Profiles {
			good := right(w, p, c)
			verdict, err := Judge(w, p, c, good)
			if err != nil || !slices.Contains(Verdicts, verdict) {
				t.Fatalf("%s %s/%s: %q %v", p, c.Class, c.Name, verdict, err)
			}
			verdicts[verdict]++
			refuse := func(what string, bad Seen, want error) {
				t.Helper()
				if v, err := Judge(w, p, c, bad); !errors.Is(err, want) || v != "" {
					t.Errorf("%s %s/%s, %s: %q %v", p, c.Class, c.Name, what, v, err)
				}
			}
			if verdict == Allowed {
				for _, status := range []int{401, 403, 503} {
					refuse("refused", Seen{Status: status}, ErrWrongDenial)
				}
				refuse("answered by nobody", Seen{Status: 200}, ErrUnexpected)
				refuse("cut off", Seen{Status: 0}, ErrUnexpected)
				for _, change := range wrongUpstreams(good.Upstream) {
					bad := good
					bad.Upstream = change.up
					refuse(change.what, bad, ErrWrongAllow)
				}
				bad := good
				bad.Also = []Upstream{good.Upstream}
				bad.Also[0].Path = "/v1/members/../chat"
				refuse("smuggled", bad, ErrWrongAllow)
				continue
			}
			through := good
			through.Status, through.Reached = 200, true
			through.Upstream = Upstream{Method: c.sent.method, Path: c.sent.target}
			if len(c.sent.hosts) > 0 {
				through.Upstream.Host = c.sent.hosts[0]
			}
			refuse("let through", through, ErrWrongAllow)
			right := []int{good.Status}
			if good.GRPCStatus != "" { // the same refusal as plain HTTP is right, too
				right = append(right, map[string]int{"16": 401, "7": 403}[good.GRPCStatus])
			}
			for _, status := range []int{200, 302, 401, 403, 404, 503} {
				if slices.Contains(right, status) {
					continue
				}
				want := ErrUnexpected
				if verdict != Envoy && (status == 401 || status == 403 || status == 503) {
					want = ErrWrongStatus
				}
				refuse("another status", Seen{Status: status}, want)
			}
		}
	}
	t.Log(verdicts)
}

type wrongUpstream struct {
	what string
	up   Upstream
}

// wrongUpstreams are ways in which what arrives can be wrong though the request
// was to be allowed.
func wrongUpstreams(good Upstream) []wrongUpstream {
	with := func(h oracle.Header) Upstream {
		up := good
		up.Headers = append(slices.Clone(good.Headers), h)
		return up
	}
	without := func(name string) Upstream {
		up := good
		up.Headers = slices.DeleteFunc(slices.Clone(good.Headers), func(h oracle.Header) bool { return h.Name == name })
		return up
	}
	changed := func(name string) Upstream {
		up := without(name)
		up.Headers = append(up.Headers, oracle.Header{Name: name, Value: "evil"})
		return up
	}
	elsewhere, other, method := good, good, good
	elsewhere.Path = "/org/developer-api"
	other.Host = "evil.example"
	method.Method = "FOO"
	return []wrongUpstream{
		{"another path", elsewhere},
		{"another host", other},
		{"another method", method},
		{"the credential arrives", with(oracle.Header{Name: "authorization", Value: "Bearer x"})},
		{"no key id", without("x-latchkey-key-id")},
		{"another key id", changed("x-latchkey-key-id")},
		{"two key ids", with(oracle.Header{Name: "x-latchkey-key-id", Value: "evil"})},
		{"another type", changed("x-latchkey-type")},
		{"another policy", changed("x-latchkey-policy")},
		{"another role", changed("x-latchkey-role")},
		{"another principal", changed("x-latchkey-principal")},
		{"another tenant", changed("x-latchkey-tenant")},
		{"more tenants", changed("x-latchkey-tenants")},
		{"another environment", changed("x-latchkey-environment")},
		{"no endpoint", without("x-latchkey-endpoint")},
		{"two endpoints", with(oracle.Header{Name: "x-latchkey-endpoint", Value: "evil"})},
		{"an underscored identity", with(oracle.Header{Name: "x_latchkey_role", Value: "evil"})},
	}
}

func TestJudgeOfSpoofedValues(t *testing.T) {
	w := oracle.Fixture()
	for _, c := range Cases(w) {
		if c.Class != "spoofing" || c.Name != "h1 kodey-pk x-latchkey-endpoint" && c.Name != "h1 kodey-pk of our kind: x-latchkey-admin" {
			continue
		}
		seen := right(w, Plain, c)
		for i, h := range seen.Upstream.Headers {
			if h.Name == "x-latchkey-endpoint" {
				seen.Upstream.Headers[i].Value = "evil-x-latchkey-endpoint"
			}
		}
		if c.Name != "h1 kodey-pk x-latchkey-endpoint" {
			seen.Upstream.Headers = append(seen.Upstream.Headers, oracle.Header{Name: "x-latchkey-admin", Value: "evil"})
		}
		if _, err := Judge(w, Plain, c, seen); !errors.Is(err, ErrWrongAllow) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}
