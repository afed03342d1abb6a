package authz

import (
	"testing"
	"time"
	"unsafe"

	"github.com/latchkey/latchkey/policy"
)

// jumped is a reading of the clocks after somebody has set the wall clock: as
// far on by the monotonic one as t. No function of package time makes one, so
// it is made by the layout of a Time and fails where that has changed.
func jumped(tb testing.TB, t time.Time, seconds int64) time.Time {
	tb.Helper()
	const secondsShift = 30 // the wall word: a flag, 33 bits of seconds, 30 of nanoseconds
	to := t
	*(*uint64)(unsafe.Pointer(&to)) += uint64(seconds) << secondsShift
	if by := time.Duration(seconds) * time.Second; to.Sub(t) != 0 || to.Round(0).Sub(t.Round(0)) != by {
		tb.Fatalf("a wall clock set by %s shows %s, and %s passed", by, to, to.Sub(t))
	}
	return to
}

// wallJumps are by how many seconds a wall clock is set: not at all, a little,
// and ten years.
var wallJumps = []int64{0, 1, -1, 3600, -3600, 10 * 365 * 24 * 3600, -10 * 365 * 24 * 3600}

// TestNoClockThatIsSetRenewsOrEndsALease.
func TestNoClockThatIsSetRenewsOrEndsALease(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	w.lease = &Lease{Contact: began, Limit: time.Minute}
	for _, by := range wallJumps {
		for passed, want := range map[time.Duration]policy.Reason{0: policy.Allowed, time.Minute: policy.Allowed, time.Minute + 1: policy.ReplicaStale} {
			if got := w.checkAt(t, get("/things", bearer("key_full")), jumped(t, began.Add(passed), by)); got.reason != want.String() {
				t.Errorf("set by %d s, %s after: %s, want %s", by, passed, got.reason, want)
			}
		}
	}
	// What the revision or the hub says of the time is no matter either.
	w.latest = began.Round(0).Add(time.Hour)
	w.lease = &Lease{Contact: began, Limit: time.Minute, Hub: began.Round(0).Add(time.Hour), Heard: began}
	if got := w.checkAt(t, get("/things", bearer("key_full")), began.Add(time.Minute)); got.reason != "ALLOWED" {
		t.Errorf("with a hub that is ahead: %s", got.reason)
	}
	w.latest, w.lease.Hub = began.Round(0).Add(-time.Hour), began.Round(0).Add(-time.Hour)
	if got := w.checkAt(t, get("/things", bearer("key_full")), began.Add(time.Minute+1)); got.reason != "REPLICA_STALE" {
		t.Errorf("with a hub that is behind: %s", got.reason)
	}
}

// TestAClockBehindTheHubs counts for nothing: a key expires when the hub's
// clock says so, as it goes on since it was heard. One ahead of it counts.
func TestAClockBehindTheHubs(t *testing.T) {
	heard := time.Now()
	local := heard.Round(0)
	for _, c := range []struct {
		name    string
		hub     time.Duration // ahead of the local clock
		latest  time.Duration
		expires time.Duration // from the local clock at Heard
		passed  time.Duration
		by      int64 // seconds by which the clock is set since
		want    policy.Reason
	}{
		{"an hour behind, at once", time.Hour, 0, time.Hour, 0, 0, policy.KeyExpired},
		{"an hour behind, a moment before", time.Hour, 0, time.Hour + 1, 0, 0, policy.Allowed},
		{"an hour behind, minutes later", time.Hour, 0, time.Hour + 5*time.Minute, 5 * time.Minute, 0, policy.KeyExpired},
		{"an hour behind, minutes later, a moment before", time.Hour, 0, time.Hour + 5*time.Minute + 1, 5 * time.Minute, 0, policy.Allowed},
		{"set back since", time.Hour, 0, time.Hour + 5*time.Minute, 5 * time.Minute, -7200, policy.KeyExpired},
		{"set back since, from the hub's time", 0, 0, 5 * time.Minute, 5 * time.Minute, -7200, policy.KeyExpired},
		{"set back since, a moment before", 0, 0, 5*time.Minute + 1, 5 * time.Minute, -7200, policy.Allowed},
		{"set right since", time.Hour, 0, time.Hour + 5*time.Minute + 1, 5 * time.Minute, 3600, policy.Allowed},
		{"ahead", -time.Hour, 0, 5 * time.Minute, 5 * time.Minute, 0, policy.KeyExpired},
		{"ahead, a moment before", -time.Hour, 0, 5*time.Minute + 1, 5 * time.Minute, 0, policy.Allowed},
		{"the revision is later than all", time.Minute, time.Hour, time.Hour, 0, 0, policy.KeyExpired},
		{"the revision is later than all, a moment before", time.Minute, time.Hour, time.Hour + 1, 0, 0, policy.Allowed},
		{"the revision is later than the clock", time.Hour, time.Minute, time.Hour, 0, 0, policy.KeyExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.latest = local.Add(c.latest)
			w.lease = &Lease{Contact: heard, Limit: time.Hour, Hub: local.Add(c.hub), Heard: heard}
			w.keys["key_full"].Expires = local.Add(c.expires)
			if got := w.checkAt(t, get("/things", bearer("key_full")), jumped(t, heard.Add(c.passed), c.by)); got.reason != c.want.String() {
				t.Errorf("answered with %s, want %s", got.reason, c.want)
			}
		})
	}
}

// TestAHubThatWasNeverHeard says nothing of the time.
func TestAHubThatWasNeverHeard(t *testing.T) {
	w := newWorld(t)
	w.keys["key_full"].Expires = noon
	w.lease = &Lease{Contact: noon, Hub: noon.AddDate(1, 0, 0)}
	if got := w.checkAt(t, get("/things", bearer("key_full")), noon.Add(-1)); got.reason != "ALLOWED" {
		t.Errorf("answered with %s", got.reason)
	}
}
