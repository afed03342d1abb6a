package key_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
)

// same reports whether two records are stored alike.
func same(a, b *key.Record) bool { return proto.Equal(a.ToProto(), b.ToProto()) }

func denied(s key.Status) bool { return s != key.Active && s != key.Retiring }

func TestWithdraw(t *testing.T) {
	must := must(t)
	k := issued()
	edit := func(u key.Update) *key.Record { return must(k.Update(u)) }
	rotated := must(k.Rotate(secret("second"), 10*time.Minute, at(5)))
	again := must(rotated.Rotate(secret("third"), 0, at(7)))
	disabled := must(k.Disable())
	tests := []struct {
		name           string
		earlier, later *key.Record
		lost           string
		want           *key.Record // nil: the later
	}{
		{"nothing happened", k, k, "", nil},
		{"revoked", k, k.Revoke(at(5)), "revoked at 2026-03-01T12:05:00Z", nil},
		{"revoked twice", k.Revoke(at(5)), k.Revoke(at(6)), "", k.Revoke(at(5))},
		{"a revocation isn't taken back", k.Revoke(at(5)), k, "", k.Revoke(at(5))},
		{"disabled", k, disabled, "disabled", nil},
		{"enabled stays off", disabled, k, "", disabled},
		{"ends earlier", k, edit(key.Update{Expires: new(at(30))}), "expires at 2026-03-01T12:30:00Z", nil},
		{"ends later", k, edit(key.Update{Expires: new(at(90))}), "", k},
		{"ends never", k, edit(key.Update{Expires: new(time.Time)}), "", k},
		{"ended never", edit(key.Update{Expires: new(time.Time)}), k, "expires at 2026-03-01T13:00:00Z", k},
		{"rotated", k, rotated, "rotated at 2026-03-01T12:05:00Z", nil},
		{"rotated twice", k, again, "rotated at 2026-03-01T12:07:00Z", nil},
		{"a grace cut short", rotated, again, "rotated at 2026-03-01T12:07:00Z", nil},
		{"a rotation isn't undone", again, rotated, "", again},
		{"scopes", k, edit(key.Update{Scopes: &[]string{"a"}}), "changed in what it may do", nil},
		{"role", k, edit(key.Update{Role: new("viewer")}), "changed in what it may do", nil},
		{"creator", k, edit(key.Update{Creator: new("user:ada")}), "changed in what it may do", nil},
		{"name", k, edit(key.Update{Name: new("new"), Description: new("new")}), "", k},
		{
			"everything", k, must(edit(key.Update{Expires: new(at(30)), Scopes: &[]string{}}).Disable()).Revoke(at(6)),
			"revoked at 2026-03-01T12:06:00Z, disabled, expires at 2026-03-01T12:30:00Z, changed in what it may do", nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := test.earlier.Clone()
			got, lost := test.earlier.Withdraw(test.later)
			if strings.Join(lost, ", ") != test.lost {
				t.Errorf("lost %q, want %q", lost, test.lost)
			}
			want := test.want
			if want == nil {
				want = test.later
			}
			if !same(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if len(lost) == 0 && got != test.earlier {
				t.Error("it lost nothing, and isn't itself any more")
			}
			if !same(before, test.earlier) {
				t.Error("the earlier state was changed")
			}
		})
	}
}

// Two lives that parted: an older store was accepted, and later one of the other
// line was restored.
func TestWithdrawFromAnotherLine(t *testing.T) {
	must := must(t)
	k := issued()
	rotated := must(k.Rotate(secret("second"), 0, at(5)))
	other := must(k.Rotate(secret("third"), 0, at(6)))
	renamed := must(k.Update(key.Update{Name: new("new")}))

	got, lost := rotated.Withdraw(renamed)
	if len(lost) != 0 || got != rotated {
		t.Errorf("a rotation was undone by a line that hadn't got it: %q %+v", lost, got.Secrets)
	}
	got, lost = rotated.Withdraw(must(renamed.Disable()))
	if len(lost) != 1 || got.Current().Digest != secret("second").Digest || got.StatusOf(secret("first").Digest, at(7)) != key.Revoked {
		t.Errorf("a rotation was undone by a line that hadn't got it: %q %+v", lost, got.Secrets)
	}
	got, lost = rotated.Withdraw(other)
	for text, want := range map[string]key.Status{"first": key.Revoked, "second": key.Revoked, "third": key.Active} {
		if is := got.StatusOf(secret(text).Digest, at(7)); is != want {
			t.Errorf("rotated in both: %s is %s, want %s", text, is, want)
		}
	}
	if len(lost) != 1 || len(got.Secrets) != 3 {
		t.Errorf("rotated in both: %q %+v", lost, got.Secrets)
	}
}

// life takes a key through random steps.
type life struct {
	t       *rapid.T
	key     *key.Record
	now     time.Time
	secrets *int // minted in all lives
}

func (l *life) minutes(label string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(l.t, label)) * time.Minute
}

func (l *life) step() {
	l.now = l.now.Add(l.minutes("passed", -1, 5)) // clocks go back
	next, err := l.key, error(nil)
	switch rapid.IntRange(0, 9).Draw(l.t, "step") {
	case 0:
		if rapid.Bool().Draw(l.t, "really") { // or lives would be short
			next = l.key.Revoke(l.now)
		}
	case 1:
		next, err = l.key.Disable()
	case 2:
		next, err = l.key.Enable()
	case 3, 4, 5:
		*l.secrets++
		next, err = l.key.Rotate(secret(fmt.Sprint(*l.secrets)), max(0, l.minutes("grace", -5, 10)), l.now)
	case 6:
		next, err = l.key.Update(key.Update{Name: new(rapid.SampledFrom([]string{"", "ci"}).Draw(l.t, "name"))})
	case 7:
		next, err = l.key.Update(key.Update{Role: new(rapid.SampledFrom([]string{"", "viewer"}).Draw(l.t, "role"))})
	case 8:
		next, err = l.key.Update(key.Update{Scopes: new(rapid.SampledFrom([][]string{nil, {"a"}, {"a", "b"}}).Draw(l.t, "scopes"))})
	case 9:
		var expires time.Time
		if rapid.Bool().Draw(l.t, "ends") {
			expires = l.now.Add(l.minutes("expires", -5, 50))
		}
		next, err = l.key.Update(key.Update{Expires: &expires})
	}
	if err == nil {
		l.key = next
	}
}

func (l *life) live(label string) *key.Record {
	for range rapid.IntRange(0, 8).Draw(l.t, label) {
		l.step()
	}
	return l.key
}

// moments are all times at which a state changes by itself, and those around.
func moments(states ...*key.Record) (times []time.Time) {
	times = append(times, at(-1e6), at(1e7))
	add := func(t time.Time) { times = append(times, t.Add(-1), t, t.Add(1)) }
	for _, r := range states {
		add(r.Created)
		add(r.Expires)
		add(r.Revoked)
		for _, s := range r.Secrets {
			add(s.Created)
			add(s.Until)
		}
	}
	return times
}

func digests(states ...*key.Record) (all []key.Digest) {
	for _, r := range states {
		for _, s := range r.Secrets {
			all = append(all, s.Digest)
		}
	}
	slices.SortFunc(all, func(a, b key.Digest) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(all)
}

// checkWithdrawn checks what holds whatever two states of a key are.
func checkWithdrawn(t *rapid.T, earlier, later *key.Record) *key.Record {
	before := earlier.Clone()
	got, lost := earlier.Withdraw(later)
	if !same(before, earlier) {
		t.Fatal("the earlier state was changed")
	}
	if back, err := key.FromProto(got.ToProto()); err != nil || !same(back, got) {
		t.Fatalf("it can't be stored: %v", err)
	}
	if (len(lost) == 0) != (got == earlier) || len(lost) > 0 && same(got, earlier) {
		t.Fatalf("lost %q, and is %+v", lost, got)
	}
	twice, lost := got.Withdraw(later)
	if len(lost) != 0 || twice != got {
		t.Fatalf("withdrawn again it lost %q", lost)
	}
	for _, d := range digests(earlier) {
		if !slices.ContainsFunc(got.Secrets, func(s key.Secret) bool { return s.Digest == d }) {
			t.Fatalf("a secret vanished")
		}
	}
	if got.Name != earlier.Name || got.Revision != earlier.Revision || len(digests(got)) != len(got.Secrets) {
		t.Fatalf("what it has nothing to do with changed: %+v", got)
	}
	return got
}

func TestWithdrawDeniesWhatWasDenied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{t: t, key: issued(), now: start, secrets: new(int)}
		earlier := l.live("before")
		later := l.live("after")
		got := checkWithdrawn(t, earlier, later)
		for _, d := range digests(earlier, later) {
			for _, now := range moments(earlier, later, got) {
				is := got.StatusOf(d, now)
				if was := later.StatusOf(d, now); denied(was) && !denied(is) {
					t.Fatalf("at %v secret %s is %s and was %s\nearlier %+v\nlater %+v\ngot %+v", now, d, is, was, earlier, later, got)
				}
				known := indexOf(earlier, d) >= 0
				if was := earlier.StatusOf(d, now); known && denied(was) && !denied(is) {
					t.Fatalf("at %v secret %s came to life: %s, in the backup %s\nearlier %+v\nlater %+v\ngot %+v", now, d, is, was, earlier, later, got)
				}
			}
		}
		if got.Role != later.Role || !slices.Equal(got.Scopes, later.Scopes) {
			t.Fatalf("it may do %q %q, want %q %q", got.Role, got.Scopes, later.Role, later.Scopes)
		}
	})
}

func TestWithdrawOfLivesThatParted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := 0
		a := &life{t: t, key: issued(), now: start, secrets: &n}
		a.live("together")
		b := *a
		earlier, later := a.live("one"), b.live("other")
		got := checkWithdrawn(t, earlier, later)
		for _, now := range moments(earlier, later, got) {
			for _, d := range digests(later) {
				if is, was := got.StatusOf(d, now), later.StatusOf(d, now); denied(was) && !denied(is) {
					t.Fatalf("at %v secret %s is %s and was %s\nearlier %+v\nlater %+v\ngot %+v", now, d, is, was, earlier, later, got)
				}
			}
			for _, d := range digests(earlier) {
				if is, was := got.StatusOf(d, now), earlier.StatusOf(d, now); denied(was) && !denied(is) {
					t.Fatalf("at %v secret %s came to life: %s, in the backup %s\nearlier %+v\nlater %+v\ngot %+v", now, d, is, was, earlier, later, got)
				}
			}
		}
	})
}

func indexOf(r *key.Record, d key.Digest) int {
	return slices.IndexFunc(r.Secrets, func(s key.Secret) bool { return s.Digest == d })
}
