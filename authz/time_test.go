package authz

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// TestExpiryIsExact: a key is good until the nanosecond before its expiry.
func TestExpiryIsExact(t *testing.T) {
	w := newWorld(t)
	w.keys["key_full"].Expires = noon
	for _, c := range []struct {
		now  time.Time
		want policy.Reason
	}{
		{noon.Add(-1), policy.Allowed},
		{noon, policy.KeyExpired},
		{noon.Add(1), policy.KeyExpired},
		{noon.Add(-1).In(time.FixedZone("far", 14*3600)), policy.Allowed},
		{noon.In(time.FixedZone("far", -12*3600)), policy.KeyExpired},
	} {
		if got := w.checkAt(t, get("/things", bearer("key_full")), c.now); got.reason != c.want.String() {
			t.Errorf("at %s: %s, want %s", c.now, got.reason, c.want)
		}
	}
}

// TestGraceIsExact: a replaced token is good until its end and then revoked,
// whatever the clock does to the new one.
func TestGraceIsExact(t *testing.T) {
	w := newWorld(t)
	k := w.keys["key_full"]
	fresh := "sk_live_F" + filler[1:]
	k.Secrets[0].Until = noon
	k.Secrets = append(k.Secrets, key.Secret{Digest: key.NewToken(fresh).Digest()})
	for _, c := range []struct {
		token string
		now   time.Time
		want  policy.Reason
	}{
		{tokens["key_full"], noon.Add(-1), policy.Allowed},
		{tokens["key_full"], noon, policy.KeyRevoked},
		{tokens["key_full"], noon.Add(1), policy.KeyRevoked},
		{fresh, noon.Add(-1), policy.Allowed},
		{fresh, noon.Add(time.Hour), policy.Allowed},
	} {
		if got := w.checkAt(t, get("/things", "x-api-key: "+c.token), c.now); got.reason != c.want.String() {
			t.Errorf("%s… at %s: %s, want %s", c.token[:9], c.now, got.reason, c.want)
		}
	}
	k.Expires = noon.Add(-1)
	if got := w.checkAt(t, get("/things", "x-api-key: "+tokens["key_full"]), noon.Add(-1)); got.reason != "KEY_EXPIRED" {
		t.Errorf("the key expired within the grace: %s", got.reason)
	}
}

// TestAClockThatIsBehind can't revive what had expired when the revision was written.
func TestAClockThatIsBehind(t *testing.T) {
	w := newWorld(t)
	w.keys["key_full"].Expires = noon
	for _, c := range []struct {
		latest, now time.Time
		want        policy.Reason
	}{
		{noon, noon.Add(-time.Hour), policy.KeyExpired},
		{noon, noon.AddDate(-10, 0, 0), policy.KeyExpired},
		{noon, time.Time{}, policy.KeyExpired},
		{noon.Add(-1), noon.AddDate(-10, 0, 0), policy.Allowed},
		{noon.Add(-1), noon, policy.KeyExpired}, // a clock that is ahead of it counts
		{noon.Add(-1), noon.Add(-1), policy.Allowed},
	} {
		w.latest = c.latest
		if got := w.checkAt(t, get("/things", bearer("key_full")), c.now); got.reason != c.want.String() {
			t.Errorf("written at %s, clock at %s: %s, want %s", c.latest, c.now, got.reason, c.want)
		}
	}
}
