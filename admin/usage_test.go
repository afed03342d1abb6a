package admin

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage/tally"
)

// recorded is a bench with a file of usage.
func recorded(t *testing.T) (*bench, *tally.File) {
	t.Helper()
	b := start(t)
	f, err := tally.Open(tally.Options{Folder: t.TempDir(), Reasons: []string{"ALLOWED", "KEY_REVOKED"}, Now: b.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	b.usage = func() (*tally.File, error) { return f, nil }
	return b, f
}

// use presents a secret of a key a number of times, now.
func (b *bench) use(f *tally.File, d key.Digest, replaced bool, n uint64) {
	b.t.Helper()
	now := b.clock.Now()
	if err := f.Add([]tally.Count{{Digest: d, Hour: tally.HourOf(now), Reason: "ALLOWED", Replaced: replaced, N: n, Minute: tally.MinuteOf(now)}}); err != nil {
		b.t.Fatal(err)
	}
}

// usageOf is a batch of four checks of a secret.
func usageOf(d key.Digest, at time.Time) *replicav1.UsageBatch {
	return &replicav1.UsageBatch{Source: strings.Repeat("0a", 16), Number: 1, Counts: []*replicav1.UsageCount{
		{Digest: d[:], Hour: tally.HourOf(at), Reason: "ALLOWED", Count: 4, LastMinute: tally.MinuteOf(at)},
	}}
}

func TestKeyUsage(t *testing.T) {
	b, f := recorded(t)
	k := b.make(operator, plainKey)
	b.use(f, b.record(k.GetId()).Current().Digest, false, 3)
	b.clock.add(90 * time.Minute)
	if _, err := b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: k.GetId(), Grace: durationpb.New(24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	r := b.record(k.GetId())
	b.use(f, r.Secrets[0].Digest, true, 2)
	b.use(f, r.Secrets[1].Digest, false, 10)
	if _, err := f.Receive(t.Context(), tally.Report{Identity: "pods", ID: "id", Name: "pod", Batch: nil}); err == nil {
		t.Error("no report is taken for one")
	}
	out, err := b.getKeyUsage(t.Context(), operator, &adminv1.GetKeyUsageRequest{Id: k.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	u := out.GetUsage()
	if !u.GetLastUsedAt().AsTime().Equal(b.clock.Now()) || len(u.GetCounts()) != 1 || u.GetCounts()[0].GetCount() != 15 || len(u.GetPeriods()) != 2 {
		t.Errorf("the key: %v", u)
	}
	old, fresh := u.GetSecrets()[0], u.GetSecrets()[1]
	if old.GetStatus() != "retiring" || old.GetCounts()[0].GetCount() != 5 || len(old.GetSinceReplaced()) != 1 || old.GetSinceReplaced()[0].GetCount() != 2 ||
		!old.GetReplacedAt().AsTime().Equal(b.clock.Now()) || old.GetPrefix() != "sp_" || len(old.GetLast4()) != 4 {
		t.Errorf("the old secret: %v", old)
	}
	if fresh.GetStatus() != "active" || fresh.GetCounts()[0].GetCount() != 10 || len(fresh.GetSinceReplaced()) != 0 || fresh.GetReplacedAt() != nil {
		t.Errorf("the new secret: %v", fresh)
	}
	b.clock.add(2 * time.Hour)
	out, err = b.getKeyUsage(t.Context(), operator, &adminv1.GetKeyUsageRequest{Id: k.GetId(), Since: durationpb.New(time.Hour)})
	if err != nil || len(out.GetUsage().GetPeriods()) != 0 || out.GetUsage().GetLastUsedAt() == nil || out.GetUsage().GetSecrets()[0].GetSinceReplaced()[0].GetCount() != 2 {
		t.Errorf("the last hour: %v, %v", out, err)
	}
	for name, since := range map[string]time.Duration{"nothing": 0, "the future": -time.Hour, "ages": maxSince + 1} {
		_, err := b.getKeyUsage(t.Context(), operator, &adminv1.GetKeyUsageRequest{Id: k.GetId(), Since: durationpb.New(since)})
		expect(t, err, ErrInvalid, "since")
		if err == nil {
			t.Error(name)
		}
	}
}

// Who may not be shown a key may not know when it is used, and pods are the operator's business.
func TestWhoMaySeeUsage(t *testing.T) {
	b, f := recorded(t)
	k := b.make(as("user:owner"), personalKey)
	digest := b.record(k.GetId()).Current().Digest
	if _, err := f.Receive(t.Context(), tally.Report{Identity: "pods", ID: "id", Name: "pod", Batch: usageOf(digest, b.clock.Now())}); err != nil {
		t.Fatal(err)
	}
	ask := func(c Caller) (*adminv1.GetKeyUsageResponse, error) {
		return b.getKeyUsage(t.Context(), c, &adminv1.GetKeyUsageRequest{Id: k.GetId()})
	}
	_, err := ask(as("user:boss"))
	expect(t, err, ErrRefused, "its owner's")
	for caller, reports := range map[Caller]int{as("user:owner"): 0, operator: 1} {
		out, err := ask(caller)
		if err != nil || len(out.GetUsage().GetReports()) != reports || out.GetUsage().GetCounts()[0].GetCount() != 4 {
			t.Errorf("%v: %v, %v", caller, out, err)
		}
	}
}

// A key counts as unused from when it was last used, else from when it was made or recording began; nobody is told that
// keys are unused where that isn't known.
func TestUnusedKeys(t *testing.T) {
	b := start(t)
	b.make(operator, plainKey) // before recording began
	b.clock.add(1000 * time.Hour)
	f, err := tally.Open(tally.Options{Folder: t.TempDir(), Reasons: []string{"ALLOWED"}, Now: b.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	list := func(unused time.Duration) (int, error) {
		q := &adminv1.ListKeysRequest{}
		if unused != 0 {
			q.UnusedFor = durationpb.New(unused)
		}
		out, err := b.listKeys(t.Context(), operator, q)
		return len(out.GetKeys()), err
	}
	if n, err := list(0); err != nil || n != 1 {
		t.Errorf("without a file keys are listed: %d, %v", n, err)
	}
	_, err = list(time.Hour)
	expect(t, err, ErrUnfit, "no usage")
	b.usage = func() (*tally.File, error) { return nil, tally.ErrClosed }
	_, err = list(time.Hour)
	expect(t, err, ErrUnfit, "try again")
	b.usage = func() (*tally.File, error) { return f, nil }

	b.clock.add(10 * time.Hour)
	used := b.make(operator, plainKey)
	b.clock.add(10 * time.Hour)
	b.use(f, b.record(used.GetId()).Current().Digest, false, 1)
	b.clock.add(10 * time.Hour)
	for unused, want := range map[time.Duration]int{0: 2, 9 * time.Hour: 2, 11 * time.Hour: 1, 30 * time.Hour: 1, 31 * time.Hour: 0} {
		if n, err := list(unused); err != nil || n != want {
			t.Errorf("unused for %s: %d, %v; want %d", unused, n, err, want)
		}
	}
	_, err = list(-time.Hour)
	expect(t, err, ErrInvalid, "unused_for")
	out, err := b.getKey(t.Context(), operator, &adminv1.GetKeyRequest{Id: used.GetId()})
	if err != nil || out.GetKey().GetLastUsedAt() == nil {
		t.Errorf("%v, %v", out, err)
	}
}
