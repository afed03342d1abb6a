package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/internal/plural"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// exportPage is how many keys are asked for at a time.
const exportPage = 5000

func newKeysExport() *cobra.Command {
	q := &adminv1.ExportKeysRequest{Selection: &adminv1.KeySelection{}, PageSize: exportPage}
	var file string
	cmd := &cobra.Command{
		Use:   "export [flags]",
		Short: "Write keys with all that is kept of them, as import takes them",
		Long: `Write keys with all that is kept of them, one JSON object a line, by id: to stdout, or
to a new file (0600). "latchkey keys import" puts them back as they were, revoked ones
as revoked. There is no token in it, only the SHA-256 of each: how many keys can be
shown again here, and not where they are imported, is said on stderr.

Keys are read while others write. If nobody did, what is written is of one revision;
else a key that was changed meanwhile is as it was or as it became, and that is said
on stderr. For a copy of a store as it is, see "latchkey db backup".`,
		Example: `  latchkey keys export -f keys.ndjson
  latchkey keys export --policy kodey --status active | jq -r .id
  latchkey keys export -f keys.ndjson -o json`,
		Args: exactly(),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, _ []string) error {
		if c.json() && file == "-" {
			return usagef("-o json is about the report, and stdout has the keys: name a file for them with -f, or leave -o out")
		}
		var done *exported
		err := toFile(cmd, file, func(w io.Writer) (err error) {
			done, err = c.exportKeys(cmd, q, w)
			return err
		})
		if err != nil {
			return err
		}
		if !proto.Equal(done.from, done.to) {
			note(cmd, "Keys were written meanwhile: what was exported is between the revisions %d and %d.", done.from.GetRevision(), done.to.GetRevision())
		}
		if done.kept > 0 {
			note(cmd, "%s can be shown again here, and not where they are imported: tokens aren't exported. A backup has them (latchkey db backup).", plural.Count(done.kept, "key"))
		}
		if file == "-" {
			return nil
		}
		return done.print(cmd, c, file)
	})
	cmd.Flags().StringVarP(&file, "file", "f", "-", "new file to write; - for stdout")
	addSelection(cmd, q.Selection, "")
	return cmd
}

// exported is what was exported, and from which revision to which.
type exported struct {
	keys     int
	kept     int // of them, whose tokens the server keeps
	from, to *adminv1.Position
}

func (e *exported) print(cmd *cobra.Command, c *client, file string) error {
	if !c.json() {
		return printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) {
			row(t, "file", file)
			row(t, "keys", fmt.Sprint(e.keys))
			row(t, "tokens left out", fmt.Sprint(e.kept))
			row(t, "revision", fmt.Sprint(e.to.GetRevision()))
		})
	}
	from, err := messageJSON(e.from)
	to, err2 := messageJSON(e.to)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	text, err := json.Marshal(struct {
		File string          `json:"file"`
		Keys int             `json:"keys"`
		Kept int             `json:"kept_tokens"`
		From json.RawMessage `json:"from"`
		To   json.RawMessage `json:"to"`
	}{file, e.keys, e.kept, from, to})
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), text)
}

// toFile has a file written that is there only once it is whole; or writes to
// stdout for "-".
func toFile(cmd *cobra.Command, path string, write func(io.Writer) error) error {
	if path == "-" {
		w := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
		return errors.Join(write(w), w.Flush())
	}
	return writeNew(path, func(f *os.File) error {
		w := bufio.NewWriterSize(f, 1<<16)
		return errors.Join(write(w), w.Flush())
	}, nil)
}

// exportKeys writes all keys that are selected, page by page.
func (c *client) exportKeys(cmd *cobra.Command, q *adminv1.ExportKeysRequest, w io.Writer) (*exported, error) {
	done := &exported{}
	p := newProgress(cmd, "keys exported", 0)
	defer p.end()
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for {
		page, err := ask(cmd.Context(), c.keys.ExportKeys, q)
		if err != nil {
			return nil, err
		}
		for _, k := range page.GetKeys() {
			if err := lines.Encode(exportLineOf(k)); err != nil {
				return nil, err
			}
		}
		if done.to = page.GetPosition(); done.from == nil {
			done.from = done.to
		}
		done.keys += len(page.GetKeys())
		done.kept += int(page.GetKeptTokens())
		p.at(done.keys)
		if q.PageToken = page.GetNextPageToken(); q.PageToken == "" {
			return done, nil
		}
	}
}
