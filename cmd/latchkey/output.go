package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/internal/strictyaml"
)

// output is the form in which a command prints its result: a table for people
// or one JSON document for programs.
type output struct {
	form  string
	forms []string
}

// addOutput gives a command the flag -o with these forms, the first by default.
func addOutput(cmd *cobra.Command, forms ...string) *output {
	o := &output{forms: forms}
	cmd.Flags().StringVarP(&o.form, "output", "o", forms[0], strings.Join(forms, " or "))
	return o
}

func (o *output) check() error {
	for _, f := range o.forms {
		if o.form == f {
			return nil
		}
	}
	return usagef("the value of --output is wrong: write %s", strings.Join(o.forms, " or "))
}

func (o *output) json() bool { return o.form == "json" }

// print writes a message as JSON, or what table writes.
func (o *output) print(w io.Writer, m proto.Message, table func(*tabwriter.Writer)) error {
	if o.json() {
		text, err := messageJSON(m)
		if err != nil {
			return err
		}
		return printJSON(w, text)
	}
	return printTable(w, table)
}

// messageJSON is a message with the field names of its proto. What is absent
// has no member; what is empty has one, but for a token: no token is none.
func messageJSON(m proto.Message) (json.RawMessage, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(compact.Bytes(), []byte(`"token":"",`), nil), nil
}

// listJSON is messages as an array.
func listJSON[M proto.Message](list []M) (json.RawMessage, error) {
	all := make([]json.RawMessage, len(list))
	for i, m := range list {
		var err error
		if all[i], err = messageJSON(m); err != nil {
			return nil, err
		}
	}
	return json.Marshal(all)
}

// printJSON writes a JSON document, indented: protojson's own spaces differ
// from run to run.
func printJSON(w io.Writer, document json.RawMessage) error {
	var out bytes.Buffer
	if err := json.Indent(&out, document, "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err := w.Write(out.Bytes())
	return err
}

func printTable(w io.Writer, table func(*tabwriter.Writer)) error {
	if p, ok := w.(*painter); ok {
		return p.table(func(w io.Writer) error { return printTable(w, table) })
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	table(t)
	return t.Flush()
}

// row writes the cells of one row. An empty cell is a dash.
func row(t *tabwriter.Writer, cells ...string) {
	for i, c := range cells {
		if c == "" {
			c = "-"
		}
		cells[i] = strictyaml.Printable(c)
	}
	_, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) // Flush returns the error
}

// fact writes a name and its value, unless that is empty.
func fact(t *tabwriter.Writer, name, value string) {
	if value != "" {
		row(t, name, value)
	}
}

// moment is a time as it is shown, and nothing for none.
func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

// ending is the time of an end as it is shown: the next full second, since nobody must take for over what isn't.
func ending(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return moment(timestamppb.New(t.AsTime().Add(time.Second - time.Nanosecond)))
}

// arrayWriter writes a JSON array item by item, so that it may be longer than
// memory. It is one document whatever happens, if only it is ended.
type arrayWriter struct {
	w     io.Writer
	items int
}

// add writes an item.
func (a *arrayWriter) add(item json.RawMessage) error {
	before := ",\n  "
	if a.items == 0 {
		before = "[\n  "
	}
	a.items++
	var out bytes.Buffer
	out.WriteString(before)
	if err := json.Indent(&out, item, "  ", "  "); err != nil {
		return err
	}
	_, err := a.w.Write(out.Bytes())
	return err
}

// end ends the array. What follows it is up to the caller.
func (a *arrayWriter) end() error {
	text := "\n]"
	if a.items == 0 {
		text = "[]"
	}
	_, err := io.WriteString(a.w, text)
	return err
}

// outliveOutput has a command that writes to the store go on, and say what became of
// it, when whoever read its output is gone, as behind `| head -1`: a signal would
// end it between two writes, or with a token that nobody has seen.
func outliveOutput() { signal.Ignore(syscall.SIGPIPE) }

// note tells the people in front of it something that is no result.
func note(cmd *cobra.Command, format string, args ...any) {
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
}
