package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/plural"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// manyOutput prints keys as they are changed: as one JSON document, however
// many they are, or the first of them in a table.
type manyOutput struct {
	cmd     *cobra.Command
	client  *client
	receipt bool
	array   *arrayWriter
	first   []*adminv1.Key
	n       int
	failed  error // of writing: the keys are changed all the same
}

func newManyOutput(cmd *cobra.Command, c *client, receipt bool) *manyOutput {
	return &manyOutput{cmd: cmd, client: c, receipt: receipt, array: &arrayWriter{w: cmd.OutOrStdout()}}
}

// full reports whether it wants no more keys.
func (o *manyOutput) full() bool {
	return o.failed != nil || !o.client.json() && len(o.first) == manyShown
}

// add takes a key. Where it can't be written, end says so: whoever revokes keys
// that leaked wants them revoked, also when nobody reads on, as behind a pipe.
func (o *manyOutput) add(k *adminv1.Key) {
	if o.failed == nil {
		o.failed = o.write(k)
	}
}

func (o *manyOutput) write(k *adminv1.Key) error {
	o.n++
	if !o.client.json() {
		if len(o.first) < manyShown {
			o.first = append(o.first, k)
		}
		return nil
	}
	if o.n == 1 && o.receipt {
		if _, err := fmt.Fprint(o.array.w, `{"keys": `); err != nil {
			return err
		}
	}
	one, err := messageJSON(k)
	if err != nil {
		return err
	}
	return o.array.add(one)
}

// end prints what is left: the end of the document or the table, and the receipt.
func (o *manyOutput) end(m *many, done outcome, r *adminv1.Receipt) error {
	w := o.cmd.OutOrStdout()
	if o.failed != nil {
		return fmt.Errorf("%s %s %s, and can't all be printed: %w", plural.Count(done.changed, "key"), plural.Pick(done.changed, "is", "are"), m.past, o.failed)
	}
	if o.client.json() {
		if o.n == 0 && o.receipt {
			if _, err := fmt.Fprint(w, `{"keys": `); err != nil {
				return err
			}
		}
		if err := o.array.end(); err != nil {
			return err
		}
		if o.receipt {
			return o.endReceipt(r)
		}
		return newline(w)
	}
	if err := o.client.printKeys(o.cmd, o.first); err != nil {
		return err
	}
	return printTable(w, func(t *tabwriter.Writer) {
		if more := done.changed - len(o.first); more > 0 {
			_, _ = fmt.Fprintf(t, "… and %d more\n", more)
		}
		if r != nil {
			receiptTable(t, r)
		}
	})
}

// endReceipt ends an object that has begun with its keys.
func (o *manyOutput) endReceipt(r *adminv1.Receipt) error {
	w := o.cmd.OutOrStdout()
	if r == nil { // which an error tells about
		_, err := fmt.Fprintln(w, "}")
		return err
	}
	members, err := receiptMembers(r)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(members, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, ",%s\n", text[1:])
	return err
}
