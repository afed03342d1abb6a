package admin

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage/tally"
)

const (
	day          = 24 * time.Hour
	defaultSince = 7 * day
	maxSince     = tally.KeptDays * day
	maxReports   = 1000
)

// usageFile returns the file of usage, or why there is none.
type usageFile func() (*tally.File, error)

// tally returns the file of usage.
func (s *Server) tally() (*tally.File, error) {
	if s.usage == nil {
		return nil, unfit("this process records no usage of keys")
	}
	f, err := s.usage()
	if err != nil {
		return nil, unfit("usage can't be read now: its file isn't open; the log tells why, or try again in a moment")
	}
	return f, nil
}

// getKeyUsage says when and how often a key was presented.
func (s *Server) getKeyUsage(_ context.Context, caller Caller, r *adminv1.GetKeyUsageRequest) (*adminv1.GetKeyUsageResponse, error) {
	since := defaultSince
	if r.GetSince() != nil {
		since = r.GetSince().AsDuration()
	}
	if r.GetSince() != nil && r.GetSince().CheckValid() != nil || since <= 0 || since > maxSince {
		return nil, invalid("since: it must be more than 0 and at most %dd", tally.KeptDays)
	}
	l, found, err := s.find(caller, r.GetId(), nil)
	if err != nil {
		return nil, err
	}
	if err := l.Permit(caller, "show", found); err != nil {
		return nil, err
	}
	f, err := s.tally()
	if err != nil {
		return nil, err
	}
	from := l.Now.Add(-since)
	secrets, err := f.Usage(digests(found), from)
	if err != nil {
		return nil, err
	}
	usage := shownUsage(found, secrets, l.Now)
	usage.Since, usage.RecordedSince = timestamppb.New(f.Since(from)), timestamp(f.Began())
	if caller.Acting != "" { // which pods there are is the operator's business
		return &adminv1.GetKeyUsageResponse{Usage: usage}, nil
	}
	senders, err := f.Senders()
	if err != nil {
		return nil, err
	}
	for _, sender := range senders[:min(len(senders), maxReports)] {
		usage.Reports = append(usage.Reports, &adminv1.UsageReport{Id: sender.ID, Name: sender.Name, Identity: sender.Identity, At: timestamppb.New(sender.At)})
	}
	return &adminv1.GetKeyUsageResponse{Usage: usage}, nil
}

func digests(r *key.Record) (all []key.Digest) {
	for i := range r.Secrets {
		all = append(all, r.Secrets[i].Digest)
	}
	return all
}

// reasonCounts are counts by reason.
type reasonCounts map[string]uint64

func (c reasonCounts) add(totals []tally.Total, fits func(tally.Total) bool) {
	for _, t := range totals {
		if fits(t) {
			c[t.Reason] = tally.Plus(c[t.Reason], t.N)
		}
	}
}

func (c reasonCounts) shown() (all []*adminv1.ReasonCount) {
	for _, reason := range slices.Sorted(maps.Keys(c)) {
		all = append(all, &adminv1.ReasonCount{Reason: reason, Count: c[reason]})
	}
	return all
}

func every(tally.Total) bool      { return true }
func replaced(t tally.Total) bool { return t.Replaced }

// shownUsage is the usage of a key as people see it, out of that of its secrets.
func shownUsage(r *key.Record, secrets []tally.Usage, now time.Time) *adminv1.KeyUsage {
	type span struct {
		start  time.Time
		length time.Duration
	}
	counts, periods := reasonCounts{}, map[span]reasonCounts{}
	usage := &adminv1.KeyUsage{Id: r.ID}
	var last time.Time
	for i, u := range secrets {
		of := &r.Secrets[i]
		own, late := reasonCounts{}, reasonCounts{}
		for _, p := range u.Periods {
			at := span{p.Start, p.Length}
			if periods[at] == nil {
				periods[at] = reasonCounts{}
			}
			for _, c := range []reasonCounts{own, counts, periods[at]} {
				c.add(p.Totals, every)
			}
		}
		late.add(u.Ever, replaced)
		shown := &adminv1.SecretUsage{
			Prefix: of.Prefix, Last4: of.Last4, Status: string(r.StatusOf(of.Digest, now)), CreatedAt: timestamp(of.Created), Until: timestamp(of.Until),
			LastUsedAt: timestamp(u.Last), Counts: own.shown(), SinceReplaced: late.shown(),
		}
		if i+1 < len(r.Secrets) {
			shown.ReplacedAt = timestamp(r.Secrets[i+1].Created)
		}
		usage.Secrets = append(usage.Secrets, shown)
		last = latest(last, u.Last)
	}
	usage.LastUsedAt, usage.Counts = timestamp(last), counts.shown()
	for _, at := range slices.SortedFunc(maps.Keys(periods), func(a, b span) int {
		return cmp.Or(a.start.Compare(b.start), cmp.Compare(b.length, a.length))
	}) {
		usage.Periods = append(usage.Periods, &adminv1.UsagePeriod{Start: timestamppb.New(at.start), Length: durationpb.New(at.length), Counts: periods[at].shown()})
	}
	return usage
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// lastUses returns since when usage is recorded, and when keys were last presented, in their order; zero for never.
func lastUses(file usageFile, keys []*key.Record) (began time.Time, last []time.Time, err error) {
	f, err := file()
	if err != nil {
		return began, nil, err
	}
	var all []key.Digest
	for _, r := range keys {
		all = append(all, digests(r)...)
	}
	each, err := f.LastUsed(all)
	if err != nil {
		return began, nil, err
	}
	last = make([]time.Time, len(keys))
	for i, r := range keys {
		for range r.Secrets {
			last[i], each = latest(last[i], each[0]), each[1:]
		}
	}
	return f.Began(), last, nil
}

// unused keeps the shown keys that haven't been used for a time, if that is asked for, and says of each when it was
// used last. They are those of the records, in their order.
func unused(file usageFile, shown []*adminv1.Key, of []*key.Record, r *adminv1.ListKeysRequest, now time.Time) ([]*adminv1.Key, error) {
	began, last, err := lastUses(file, of)
	switch {
	case err != nil && r.GetUnusedFor() != nil:
		return nil, err // who cleans up must not take for unused what isn't known
	case err != nil:
		return shown, nil
	}
	kept := shown[:0]
	for i, k := range shown {
		k.LastUsedAt = timestamp(last[i])
		since := last[i]
		if since.IsZero() {
			since = latest(of[i].Created, began)
		}
		if r.GetUnusedFor() == nil || now.Sub(since) >= r.GetUnusedFor().AsDuration() {
			kept = append(kept, k)
		}
	}
	return kept, nil
}

// checkUnused says what is wrong with the length of time that keys weren't used for.
func checkUnused(r *adminv1.ListKeysRequest, wrong *mistakes) {
	if d := r.GetUnusedFor(); d != nil && (d.CheckValid() != nil || d.AsDuration() <= 0) {
		wrong.invalid("unused_for: it must be more than 0")
	}
}
