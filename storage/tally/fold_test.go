package tally

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
)

// foldAll folds until there is nothing more to do.
func (b *bench) foldAll() {
	b.t.Helper()
	for {
		more, err := b.Fold()
		if err != nil {
			b.t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

// Hours become days, days go, and what was counted stays for ever; what comes late goes where its hour has gone.
func TestHoursBecomeDays(t *testing.T) {
	b := open(t, nil)
	for h := range 72 {
		if err := b.Add([]Count{allowed(1, noon.Add(-time.Duration(h)*time.Hour), 1), allowed(2, noon, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if u := b.used(1, noon.Add(-200*time.Hour)); len(u.Periods) != 72 || u.Periods[0].Length != time.Hour {
		t.Errorf("%d periods of %v", len(u.Periods), u.Periods[0])
	}
	b.set(noon.Add(6 * day)) // of the three days, two are older than a week or begin so
	b.foldAll()
	late := allowed(1, noon.Add(-71*time.Hour), 10)
	if err := b.Add([]Count{late}); err != nil {
		t.Fatal(err)
	}
	b.again()
	u := b.used(1, noon.Add(-200*time.Hour))
	days := 0
	var all uint64
	for i, p := range u.Periods {
		if all += sum(p.Totals); p.Length == day {
			days++
		}
		if i > 0 && p.Start.Before(u.Periods[i-1].Start) {
			t.Errorf("%v comes after %v", p.Start, u.Periods[i-1].Start)
		}
	}
	if days != 3 || all != 82 || len(u.Periods) != 3+25 {
		t.Errorf("%d days of %d periods count %d", days, len(u.Periods), all)
	}
	b.set(noon.Add((KeptDays + 5) * day))
	b.foldAll()
	if u := b.used(1, noon.Add(-200*time.Hour)); len(u.Periods) != 0 || sum(u.Ever) != 82 || !u.Last.Equal(noon) {
		t.Errorf("after years: %+v", u)
	}
	last, err := b.LastUsed([]key.Digest{digest(9), digest(2)})
	if err != nil || !last[0].IsZero() || !last[1].Equal(noon) {
		t.Errorf("last used: %v, %v", last, err)
	}
}

// Who asks from an hour on gets nothing of before: of the day that the hour is in, what is folded is older.
func TestNothingOfBeforeSince(t *testing.T) {
	b := open(t, nil)
	for h := range 48 {
		if err := b.Add([]Count{allowed(1, noon.Add(-time.Duration(h)*time.Hour), 1)}); err != nil {
			t.Fatal(err)
		}
	}
	b.set(noon.Add(6 * day))
	b.foldAll()
	since := noon.Add(-day) // a week back, as far as hours go
	var all uint64
	for _, p := range b.used(1, since).Periods {
		if all += sum(p.Totals); p.Start.Before(b.Since(since)) {
			t.Errorf("counts since %s begin at %s", b.Since(since), p.Start)
		}
	}
	if all != 25 {
		t.Errorf("25 hours count %d", all)
	}
}

// Since is the begin of a period, of a day where hours may be folded.
func TestSince(t *testing.T) {
	b := open(t, nil)
	for since, want := range map[time.Time]time.Time{
		noon:                      noon.Truncate(time.Hour),
		noon.Add(-7 * day):        noon.Add(-7 * day).Truncate(time.Hour),
		noon.Add(-7*day - day/24): noon.Add(-7 * day).Truncate(day),
	} {
		if got := b.Since(since); !got.Equal(want) {
			t.Errorf("%s begins at %s, want %s", since, got, want)
		}
	}
}
