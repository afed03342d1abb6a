package authz

import (
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/policy"
)

// cutOff makes the world a replica's that was proven to be current so long
// before noon, and may answer for limit.
func cutOff(age, limit time.Duration) func(*world) {
	return func(w *world) { w.lease = &Lease{Contact: noon.Add(-age), Limit: limit} }
}

// neverProven makes it a replica's that no hub has ever proven to be current.
func neverProven(limit time.Duration) func(*world) {
	return func(w *world) { w.lease = &Lease{Limit: limit} }
}

// TestTheLeaseIsExact: at its limit a replica answers, a nanosecond later it
// doesn't.
func TestTheLeaseIsExact(t *testing.T) {
	const limit, ages, unlimited = 10 * time.Minute, 292 * 365 * 24 * time.Hour, 0
	for _, c := range []struct {
		name  string
		world func(*world)
		want  policy.Reason
	}{
		{"its own store", func(*world) {}, policy.Allowed},
		{"at once", cutOff(0, limit), policy.Allowed},
		{"within the limit", cutOff(limit-1, limit), policy.Allowed},
		{"at the limit", cutOff(limit, limit), policy.Allowed},
		{"past the limit", cutOff(limit+1, limit), policy.ReplicaStale},
		{"ages ago", cutOff(ages, limit), policy.ReplicaStale},
		{"the shortest limit", cutOff(1, 1), policy.Allowed},
		{"past the shortest limit", cutOff(2, 1), policy.ReplicaStale},
		{"proven while the question was asked", cutOff(-time.Second, 1), policy.Allowed},
		{"never", neverProven(limit), policy.ReplicaStale},
		{"never, with the longest limit", neverProven(1<<63 - 1), policy.ReplicaStale},
		{"without limit", cutOff(ages, unlimited), policy.Allowed},
		{"without limit, never", neverProven(unlimited), policy.Allowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.world(w)
			got := w.check(t, get("/things", bearer("key_full")))
			if got.reason != c.want.String() {
				t.Errorf("answered with %s, want %s", got.reason, c.want)
			}
			if c.want == policy.ReplicaStale {
				checkRefusal(t, got, c.want)
			}
		})
	}
}

// TestWhatAStaleReplicaAnswers: what needs nobody's name, and nothing else; so
// it reads no credential and looks no key up.
func TestWhatAStaleReplicaAnswers(t *testing.T) {
	newWorld(t)
	lacking := func(method, target string, headers ...string) *authv3.CheckRequest {
		return envoy(mapped, method, target, headers...)
	}
	for name, c := range map[string]struct {
		check *authv3.CheckRequest
		want  policy.Reason
	}{
		"another host":         {lacking("GET", "/things", "host: other.example"), policy.HostUnknown},
		"a public endpoint":    {lacking("GET", "/status"), policy.Public},
		"a preflight":          {lacking("OPTIONS", "/things", "origin: https://x", "access-control-request-method: POST"), policy.Preflight},
		"no preflight":         {lacking("OPTIONS", "/things"), policy.ReplicaStale},
		"an unclean path":      {lacking("GET", "/status/.."), policy.ReplicaStale},
		"no key":               {lacking("GET", "/things"), policy.ReplicaStale},
		"two keys":             {lacking("GET", "/things", bearer("key_full"), "x-api-key: "+tokens["key_full"]), policy.ReplicaStale},
		"no token":             {lacking("GET", "/things", "x-api-key: x"), policy.ReplicaStale},
		"a key that isn't":     {lacking("GET", "/things", "x-api-key: sk_live_"+filler), policy.ReplicaStale},
		"a key":                {lacking("GET", "/things", bearer("key_full")), policy.ReplicaStale},
		"no such route":        {lacking("GET", "/nothing", bearer("key_full")), policy.ReplicaStale},
		"a key that may do so": {lacking("GET", "/things", bearer("key_browser")), policy.ReplicaStale},
	} {
		for cut, world := range map[string]func(*world){"past its limit": cutOff(time.Minute+1, time.Minute), "never proven": neverProven(time.Minute)} {
			w := newWorld(t)
			world(w)
			if got := w.check(t, c.check); got.reason != c.want.String() || got.allowed != c.want.Allows() {
				t.Errorf("%s, %s: %s, want %s", name, cut, got.reason, c.want)
			}
			if w.lookups != 0 {
				t.Errorf("%s, %s: %d keys were looked up", name, cut, w.lookups)
			}
			w.revision = 0
			if got := w.check(t, c.check); got.reason != "NOT_READY" {
				t.Errorf("%s, %s, without a revision: %s", name, cut, got.reason)
			}
		}
	}
}

// TestAStrictType isn't answered while others are. Keys of the type parent may
// be answered for 30 s.
func TestAStrictType(t *testing.T) {
	const own = 30 * time.Second
	for _, c := range []struct {
		name        string
		world       func(*world)
		strict, lax policy.Reason
	}{
		{"its own store", func(*world) {}, policy.Allowed, policy.Allowed},
		{"at the type's limit", cutOff(own, time.Hour), policy.Allowed, policy.Allowed},
		{"past the type's limit", cutOff(own+1, time.Hour), policy.ReplicaStale, policy.Allowed},
		{"past both", cutOff(time.Hour+1, time.Hour), policy.ReplicaStale, policy.ReplicaStale},
		{"the replica is stricter", cutOff(own, own-1), policy.ReplicaStale, policy.ReplicaStale},
		{"the replica is as strict", cutOff(own, own), policy.Allowed, policy.Allowed},
		{"the replica has no limit", cutOff(own, 0), policy.Allowed, policy.Allowed},
		{"the replica has no limit, past the type's", cutOff(own+1, 0), policy.ReplicaStale, policy.Allowed},
		{"the replica has no limit, never proven", neverProven(0), policy.ReplicaStale, policy.Allowed},
		{"never proven", neverProven(time.Hour), policy.ReplicaStale, policy.ReplicaStale},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.world(w)
			for id, want := range map[string]policy.Reason{"key_parent": c.strict, "key_full": c.lax} {
				got := w.check(t, get("/things", bearer(id)))
				if got.reason != want.String() {
					t.Errorf("%s: %s, want %s", id, got.reason, want)
				}
				if want == policy.ReplicaStale {
					checkRefusal(t, got, want)
				}
			}
		})
	}
}

// TestAStrictTypeIsAskedBeforeItsKey: how a key stands is not known, but which
// policy and which type it is of.
func TestAStrictTypeIsAskedBeforeItsKey(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		want   policy.Reason
	}{
		"expired":          {func(w *world) { w.keys["key_parent"].Expires = noon }, policy.ReplicaStale},
		"revoked":          {func(w *world) { w.keys["key_parent"].Revoked = noon }, policy.ReplicaStale},
		"disabled":         {func(w *world) { w.keys["key_parent"].Disabled = true }, policy.ReplicaStale},
		"suspended":        {suspend("org:o_1"), policy.ReplicaStale},
		"another policy's": {func(w *world) { w.keys["key_parent"].Policy = "other" }, policy.KeyUnknown},
		"another owner's":  {func(w *world) { w.keys["key_parent"].Tenant = "team:t_1" }, policy.KeyUnknown},
		"never issued":     {func(w *world) { delete(w.keys, "key_parent") }, policy.KeyUnknown},
	} {
		w := newWorld(t)
		c.change(w)
		cutOff(time.Minute, time.Hour)(w)
		if got := w.check(t, get("/things", bearer("key_parent"))); got.reason != c.want.String() {
			t.Errorf("%s: %s, want %s", name, got.reason, c.want)
		}
	}
}

// TestAgesAndLimits: Age and Stale say what a check goes by, whatever the lease.
func TestAgesAndLimits(t *testing.T) {
	newWorld(t)
	short := rapid.Map(rapid.Int64Range(0, 4), func(n int64) time.Duration { return time.Duration(n) })
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		age, limit := short.Draw(r, "age"), short.Draw(r, "limit")
		w.lease = &Lease{Contact: noon.Add(-age), Limit: limit}
		proven := rapid.Bool().Draw(r, "ever proven")
		if !proven {
			w.lease.Contact = time.Time{}
		}
		want := limit != 0 && (!proven || age > limit)
		if got := w.lease.Stale(noon, limit); got != want {
			r.Errorf("stale is %v, want %v", got, want)
		}
		if got := w.lease.Age(noon); proven && got != age || !proven && got != 1<<63-1 {
			r.Errorf("of the age %s", got)
		}
		if got := w.check(t, get("/things", bearer("key_full"))); (got.reason == "REPLICA_STALE") != want || !want && !got.allowed {
			r.Errorf("answered with %s", got.reason)
		}
	})
	ahead := &Lease{Contact: noon.Add(time.Second)}
	var own *Lease
	if ahead.Age(noon) != 0 || own.Age(noon) != 0 || own.Stale(noon, 1) {
		t.Errorf("a lease from ahead is of the age %s, none of %s, and stale is %v", ahead.Age(noon), own.Age(noon), own.Stale(noon, 1))
	}
}
