package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/internal/plural"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const (
	// manyPage is how many keys are written at once, and manyLook how many are
	// looked at.
	manyPage, manyLook = 5000, 10_000
	// manyShown is how many keys a table has, and manyRefused how many refusals are told.
	manyShown, manyRefused = 100, 20
)

// many is the part of a command that does the same to all keys of a selection.
type many struct {
	q    *adminv1.ChangeKeysRequest
	yes  bool
	verb string // revoke
	past string // revoked
	more string // what is added to the question: " for good"
}

// addMany gives a command on one key the flags that select many in its place.
func addMany(cmd *cobra.Command, verb, past, more string) *many {
	m := &many{q: &adminv1.ChangeKeysRequest{Selection: &adminv1.KeySelection{}}, verb: verb, past: past, more: more}
	cmd.Flags().BoolVar(&m.yes, "yes", false, verb+" all keys that the flags select, without a question")
	one := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && m.selects() {
			return nil
		}
		return one(cmd, args)
	}
	return m
}

// addSelection gives a command the flags that select keys. With a creator's flag
// of another name, --creator is left to the command.
func addSelection(cmd *cobra.Command, s *adminv1.KeySelection, creator string) {
	f := cmd.Flags()
	f.StringVar(&s.Policy, "policy", "", "only keys of this policy")
	f.StringVar(&s.Type, "type", "", "only keys of this type")
	f.StringVar(&s.Tenant, "tenant", "", "only keys of this tenant")
	f.StringVar(&s.Principal, "principal", "", "only keys of this principal")
	f.StringVar(&s.Environment, "environment", "", "only keys of this environment")
	addStatus(cmd, &s.Status)
	if creator == "" {
		creator = "creator"
	}
	f.StringVar(&s.Creator, creator, "", "only keys that this principal made")
	arguments := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if f.Changed(creator) && s.Creator == "" {
			return emptyName(creator)
		}
		return arguments(cmd, args)
	}
}

// selects reports whether keys are selected.
func (m *many) selects() bool { return !proto.Equal(m.q.Selection, &adminv1.KeySelection{}) }

// alone is the check that one key or many are named, and not both.
func (m *many) alone(args []string) error {
	if len(args) > 0 && (m.selects() || m.yes) {
		return usagef("an ID names one key, and flags that select, with --yes, are for many: give one or the other")
	}
	return nil
}

// outcome is what became of many keys.
type outcome struct {
	changed int
	refused int
	at      *adminv1.Position // of the last write
	errs    []error
}

// run looks how many keys it is about, asks, and changes them.
func (m *many) run(cmd *cobra.Command, c *client, w *waiting) error {
	if !m.yes && !m.q.DryRun {
		if err := m.ask(cmd, c); err != nil {
			return err
		}
	}
	if !m.q.DryRun {
		outliveOutput()
	}
	out := newManyOutput(cmd, c, w.on())
	done, err := m.change(cmd, c, m.q.DryRun, out)
	if err != nil && done.changed+done.refused == 0 {
		return err // such as of a tenant that nobody knows
	}
	noteDryRun(cmd, m.q.DryRun)
	if err == nil && done.changed+done.refused == 0 {
		// Such as a tenant that was dealt with before.
		note(cmd, "No key is selected that isn't %s already.", m.past)
	}
	errs := append([]error{err}, done.errs...)
	if more := done.refused - len(done.errs); more > 0 {
		errs = append(errs, fmt.Errorf("… and %d more %s refused", more, plural.Pick(more, "was", "were")))
	}
	var r *adminv1.Receipt
	if w.on() && err == nil {
		// Everything up to the last write is what they must know; up to the newest where all was done before.
		r, err = c.receiptOf(cmd, w, done.at)
		errs = append(errs, err)
	}
	return errors.Join(append([]error{out.end(m, done, r)}, errs...)...)
}

// ask tells how many keys it is about, and asks whoever is there.
func (m *many) ask(cmd *cobra.Command, c *client) error {
	would, err := m.change(cmd, c, true, nil)
	if err != nil {
		return err
	}
	if would.refused > 0 {
		note(cmd, "%s selected and can't be %s: --dry-run tells which and why.", plural.Count(would.refused, "more key")+plural.Pick(would.refused, " is", " are"), m.past)
	}
	if !asks(cmd) {
		return usagef("this would %s %s%s: add --yes, or look first with --dry-run", m.verb, plural.Count(would.changed, "key"), m.more)
	}
	if would.changed == 0 {
		return nil
	}
	return confirm(cmd, "%s%s %s%s?", string(m.verb[0]-'a'+'A'), m.verb[1:], plural.Count(would.changed, "key"), m.more)
}

// change does it, page by page: each is one write, and what was written stays
// so. Doing it again goes on where it was broken off.
func (m *many) change(cmd *cobra.Command, c *client, dryRun bool, out *manyOutput) (done outcome, err error) {
	q := proto.Clone(m.q).(*adminv1.ChangeKeysRequest)
	q.DryRun, q.PageSize = dryRun, manyPage
	if dryRun {
		q.PageSize = manyLook
	}
	what := "keys " + m.past
	if dryRun {
		what = "keys looked at"
	}
	p := newProgress(cmd, what, 0)
	defer p.end()
	for {
		q.OmitKeys = out == nil || out.full()
		a, err := ask(cmd.Context(), c.keys.ChangeKeys, q)
		if err != nil {
			err = c.explain(err)
			if done.changed > 0 && !dryRun {
				err = fmt.Errorf("%w\nat least %s %s %s: run the same command again to go on", err, plural.Count(done.changed, "key"), plural.Pick(done.changed, "is", "are"), m.past)
			}
			return done, err
		}
		done.changed += int(a.GetChanged())
		done.refused += len(a.GetRefusals())
		if a.GetChanged() > 0 {
			done.at = a.GetPosition()
		}
		for _, r := range a.GetRefusals() {
			if len(done.errs) < manyRefused {
				done.errs = append(done.errs, fmt.Errorf("%s: %s", r.GetId(), r.GetMessage()))
			}
		}
		for _, k := range a.GetKeys() {
			out.add(k)
		}
		p.at(done.changed)
		if q.PageToken = a.GetNextPageToken(); q.PageToken == "" {
			return done, nil
		}
	}
}
