package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// defaultWait is how long a command waits for replicas that is told to wait and not how long.
const defaultWait = "5s"

// waiting is the flag --wait of commands that take something away from keys.
type waiting struct {
	text string
	time time.Duration
}

func addWait(cmd *cobra.Command) *waiting {
	w := &waiting{}
	cmd.Flags().StringVar(&w.text, "wait", "", "wait until every replica has applied it, for so long at most (5s where nothing is said: --wait, or --wait=1m), and print the receipt")
	cmd.Flags().Lookup("wait").NoOptDefVal = defaultWait
	arguments := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		// A flag that may stand alone doesn't take the next word.
		if cmd.Flags().Changed("wait") {
			for _, arg := range args {
				if _, err := strictyaml.ParseDuration(arg); err == nil {
					return usagef("the time to wait is an argument of its own here: write --wait=%s", arg)
				}
			}
		}
		return arguments(cmd, args)
	}
	return w
}

// check reads the flag.
func (w *waiting) check(dryRun bool) (err error) {
	switch {
	case w.text == "":
		return nil
	case dryRun:
		return usagef("--wait and --dry-run exclude each other: there is nothing to wait for")
	}
	if w.time, err = strictyaml.ParseDuration(w.text); err != nil {
		return usagef("the value of --wait is wrong: %w", err)
	}
	if w.time > longestWait {
		return usagef("the value of --wait is wrong: it is at most %d hours", int(longestWait.Hours()))
	}
	return nil
}

func (w *waiting) on() bool { return w.text != "" }

// receipt waits for the replicas to know a write.
func (c *client) receipt(ctx context.Context, w *waiting, at *adminv1.Position) (*adminv1.Receipt, error) {
	// What was done, such as a new token, is printed also where the terminal goes away meanwhile.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, w.time+callTime)
	defer cancel()
	a, err := c.server.AwaitReplicas(ctx, connect.NewRequest(&adminv1.AwaitReplicasRequest{Position: at, Timeout: durationpb.New(w.time)}))
	if err != nil {
		return nil, c.explain(err)
	}
	return a.Msg.GetReceipt(), nil
}

// receiptOf waits for the replicas to know what the command has done, and says so on stderr where some don't.
func (c *client) receiptOf(cmd *cobra.Command, w *waiting, at *adminv1.Position) (*adminv1.Receipt, error) {
	r, err := c.receipt(cmd.Context(), w, at)
	if err != nil {
		return nil, fmt.Errorf("it is done, and who knows it can't be told: %w", err)
	}
	noteMissing(cmd, r)
	return r, nil
}

// namesNoted is how many replicas are named on stderr; a receipt has all of them.
const namesNoted = 10

// noteMissing says on stderr who may not know what was done, until when, and what to do about it: it is done all the
// same, so that the exit code doesn't tell.
func noteMissing(cmd *cobra.Command, r *adminv1.Receipt) {
	if r.GetUncertain() {
		note(cmd, "WARNING: it is done, and it isn't known whether every replica knows it: %s", uncertainUntil)
	}
	if len(r.GetMissing()) == 0 {
		return
	}
	var names []string
	for _, m := range r.GetMissing()[:min(len(r.GetMissing()), namesNoted)] {
		names = append(names, strictyaml.Printable(cmp.Or(m.GetName(), m.GetId())))
	}
	if more := len(r.GetMissing()) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	until := "without end: a lease of theirs has none"
	if last := lastLease(r); last != nil {
		until = "until " + ending(last) + " at the latest"
	}
	p := r.GetPosition()
	note(cmd, "WARNING: it is done, and not every replica knows it yet: %d of %d may answer as before, %s: %s.",
		len(r.GetMissing()), r.GetReplicas(), until, strings.Join(names, ", "))
	note(cmd, "Wait on with `latchkey replicas await --epoch %d --revision %d`, which exits with 1 while some are missing. To be sure sooner, stop the process of each that is; "+
		"one that is gone for good is taken out of the count with `latchkey replicas forget ID --gone`.", p.GetEpoch(), p.GetRevision())
}

// printKeyReceipt writes a key, and who knows what became of it, as one object.
func (c *client) printKeyReceipt(cmd *cobra.Command, k *adminv1.Key, r *adminv1.Receipt) error {
	one, err := messageJSON(k)
	if err != nil {
		return err
	}
	return c.printWithReceipt(cmd, one, r)
}

// printKeyAnd writes a key after a write at a position, and, where that was asked for, who knows it.
func (c *client) printKeyAnd(cmd *cobra.Command, w *waiting, k *adminv1.Key, at *adminv1.Position) error {
	if !w.on() {
		return unseen(k, c.printKey(cmd, k))
	}
	if !c.json() {
		// Before the wait, which may be long and be broken off: a token is shown this once.
		if err := unseen(k, c.printKey(cmd, k)); err != nil {
			return err
		}
		r, err := c.receiptOf(cmd, w, at)
		if err != nil {
			return err
		}
		return printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) { receiptTable(t, r) })
	}
	r, err := c.receiptOf(cmd, w, at)
	if err != nil {
		return errors.Join(unseen(k, c.printKey(cmd, k)), err)
	}
	return unseen(k, c.printKeyReceipt(cmd, k, r))
}

// printWithReceipt writes the members of an object and those of a receipt as one.
func (c *client) printWithReceipt(cmd *cobra.Command, object json.RawMessage, r *adminv1.Receipt) error {
	members, err := receiptMembers(r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(object, &members); err != nil {
		return err
	}
	whole, err := json.Marshal(members)
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), whole)
}

// receiptMembers are the members of a receipt as JSON.
func receiptMembers(r *adminv1.Receipt) (map[string]json.RawMessage, error) {
	receipt, err := messageJSON(r)
	if err != nil {
		return nil, err
	}
	members := map[string]json.RawMessage{"leases_end": json.RawMessage("null")} // without end, or not known
	return members, json.Unmarshal(receipt, &members)
}

// receiptTable tells who knows a write.
func receiptTable(t *tabwriter.Writer, r *adminv1.Receipt) {
	row(t, "applied", fmt.Sprintf("by %d of %d replicas that hold a lease", r.GetApplied(), r.GetReplicas()))
	for _, m := range r.GetMissing() {
		row(t, "missing", m.GetName()+" "+m.GetId()+": "+missingUntil(m))
	}
	switch {
	case len(r.GetMissing()) == 0:
	case lastLease(r) == nil:
		row(t, "known to all", "not before the replicas without end of their lease are back, or are forgotten (latchkey replicas forget)")
	default:
		row(t, "known to all", ending(lastLease(r))+" at the latest: the leases of the missing end")
	}
	if r.GetUncertain() {
		row(t, "uncertain", uncertainUntil)
	}
}

// uncertainUntil is why a receipt is uncertain, until when, and what to do about it.
const uncertainUntil = "the hub's roster of replicas was damaged, and one that hasn't connected since isn't counted and may hold a lease. " +
	"That is so until you say that none is left: once every sidecar is connected (`latchkey replicas list`), or has been away for longer than its max_staleness, " +
	"remove the damaged roster, which `latchkey status` names, and start the hub again. To be sure sooner, stop each sidecar that isn't connected."

// lastLease is when the last lease of those that are missing ends; nil where one of them has no end. A receipt that is uncertain
// doesn't tell it of all together.
func lastLease(r *adminv1.Receipt) (last *timestamppb.Timestamp) {
	if !r.GetUncertain() {
		return r.GetLeasesEnd()
	}
	for _, m := range r.GetMissing() {
		switch end := m.GetLeaseEnds(); {
		case end == nil:
			return nil
		case last == nil || end.AsTime().After(last.AsTime()):
			last = end
		}
	}
	return last
}

func missingUntil(m *adminv1.Replica) string {
	where := "connected"
	if !m.GetConnected() {
		where = "away"
	}
	if m.GetLeaseEnds() == nil {
		return where + ", its lease has no end"
	}
	return where + ", its lease ends " + ending(m.GetLeaseEnds())
}
