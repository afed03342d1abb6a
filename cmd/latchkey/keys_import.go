package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/plural"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// importBatch is how many keys are taken over in one write.
const importBatch = 5000

func newKeysImport() *cobra.Command {
	i := &keyImport{}
	cmd := &cobra.Command{
		Use:   "import FILE|- [flags]",
		Short: "Take over keys that were minted elsewhere, or put back what was exported",
		Long: `Take over keys from a file or stdin ("-"), one JSON object a line: policy, type,
environment, tenant, principal, creator, role, scopes, name, description, expires_at
or expires_in, system, and either token or token_sha256 (in hex; prefix and last4 may
be given beside it).

A line with an id is a key that is put back as it was, as "latchkey keys export"
writes it: it keeps its id, and created_at, rotated_at, revoked_at, disabled and
former_secrets count. A revoked key stays revoked.

All lines are checked before the first key is taken over, and every mistake is told
with its line. Keys are written some thousands at a time. Where that was interrupted,
or somebody was killed, the same command with --resume passes over the keys that are
there as the same key and goes on; it never changes a key that is there.

What comes from stdin is needed twice, and kept in between in a file without a name,
under a key that this process alone has.`,
		Example: `  latchkey keys import keys.ndjson
  latchkey keys import keys.ndjson --resume
  latchkey keys export --admin unix:old.sock | latchkey keys import - --admin unix:new.sock

  {"policy":"kodey","type":"secret","tenant":"team:t_1","token_sha256":"9f86…"}`,
		Args: exactly("FILE"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		i.client, i.name = c, args[0]
		return i.run(cmd)
	})
	f := cmd.Flags()
	f.BoolVar(&i.resume, "resume", false, "pass over keys that are there as the same key")
	f.BoolVar(&i.summary, "summary", false, "with -o json, print counts in place of the keys")
	addDryRun(cmd, &i.dryRun)
	return cmd
}

// keyImport is an import on its way.
type keyImport struct {
	*client
	name    string
	dryRun  bool
	resume  bool
	summary bool

	lines    int // with keys
	wrong    int // of them
	imported int
	present  int // keys that are there already
	at       *adminv1.Position
}

func (i *keyImport) run(cmd *cobra.Command) (err error) {
	source, err := openTwice(cmd, i.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := i.check(cmd, source); err != nil {
		return err
	}
	if !i.dryRun && i.imported > 0 || i.each() {
		if err := source.rewind(); err != nil {
			return err
		}
		if err := i.write(cmd, source); err != nil {
			return err
		}
	}
	noteDryRun(cmd, i.dryRun)
	return i.report(cmd)
}

// check reads all lines and has the server check each, and tells every mistake
// as it comes to it.
func (i *keyImport) check(cmd *cobra.Command, from io.Reader) error {
	twins := newTwins()
	p := newProgress(cmd, "lines checked", 0)
	defer p.end()
	batches, stop := importBatches(cmd.Context(), from)
	defer stop()
	for b := range batches {
		if b.err != nil {
			return fmt.Errorf("reading %s: %w", i.name, b.err)
		}
		mistakes := append(b.mistakes, twins.find(&b)...)
		if len(b.lines) > 0 {
			a, wrong, err := i.send(cmd.Context(), b.lines, true, false)
			if err != nil {
				return err
			}
			mistakes = append(mistakes, wrong...)
			i.imported, i.present, i.at = i.imported+int(a.GetImported()), i.present+int(a.GetPresent()), a.GetPosition()
		}
		i.lines += b.count
		if len(mistakes) > 0 {
			p.end()
			i.wrong += tell(cmd, i.name, mistakes, math.MaxInt)
		}
		p.at(i.lines)
	}
	if err := cmd.Context().Err(); err != nil {
		return errors.New("interrupted: nothing was imported")
	}
	switch {
	case i.lines == 0:
		return errors.New("there are no keys in it: write one JSON object a line")
	case i.wrong > 0:
		return fmt.Errorf("nothing was imported: %d of %s %s wrong", i.wrong, plural.Count(i.lines, "line"), plural.Pick(i.wrong, "is", "are"))
	}
	return nil
}

// write takes over all lines, which have been checked: what can go wrong now is
// what others do meanwhile. In a dry run it tells which keys that would be.
func (i *keyImport) write(cmd *cobra.Command, from io.Reader) (err error) {
	total := i.lines
	i.lines, i.imported, i.present = 0, 0, 0
	what := "keys written"
	if i.dryRun {
		what = "keys told"
	}
	p := newProgress(cmd, what, total)
	defer p.end()
	out := &arrayWriter{w: cmd.OutOrStdout()}
	outliveOutput()
	if i.each() {
		defer func() {
			// What was imported is told, whatever came then.
			err = errors.Join(err, out.end(), newline(out.w))
		}()
	}
	batches, stop := importBatches(cmd.Context(), from)
	defer stop()
	for b := range batches {
		if err := errors.Join(b.err, b.first()); err != nil {
			return i.broken(fmt.Errorf("%s has changed since it was checked: %w", i.name, err))
		}
		a, wrong, err := i.send(cmd.Context(), b.lines, i.dryRun, i.each())
		if err == nil && len(wrong) > 0 {
			// Such as a batch that somebody else has imported meanwhile.
			tell(cmd, i.name, wrong, manyRefused)
			err = errors.New("what was right when it was checked isn't any more: others have written meanwhile")
		}
		if err != nil {
			return i.broken(i.explain(err))
		}
		i.lines += b.count
		i.imported, i.present, i.at = i.imported+int(a.GetImported()), i.present+int(a.GetPresent()), a.GetPosition()
		for _, k := range a.GetKeys() {
			one, err := messageJSON(k)
			if err == nil {
				err = out.add(one)
			}
			if err != nil {
				return i.broken(err)
			}
		}
		p.at(i.lines)
	}
	if cmd.Context().Err() != nil {
		return i.broken(errors.New("interrupted"))
	}
	if i.lines != total {
		return i.broken(fmt.Errorf("%s has changed since it was checked: it had %s with keys, and has %d", i.name, plural.Count(total, "line"), i.lines))
	}
	return nil
}

// broken says how to go on.
func (i *keyImport) broken(err error) error {
	if i.dryRun {
		return err
	}
	// The last write may have been done although its answer didn't come.
	return fmt.Errorf("%w\nat least %s imported and the rest was not: run the same command with --resume to go on", err, plural.Count(i.imported, "key")+plural.Pick(i.imported, " was", " were"))
}

// each reports whether each key is printed.
func (i *keyImport) each() bool { return i.json() && !i.summary }

func (i *keyImport) send(ctx context.Context, lines []importLine, dryRun, keys bool) (*adminv1.ImportKeysResponse, []importMistake, error) {
	q := &adminv1.ImportKeysRequest{DryRun: dryRun, Resume: i.resume, OmitKeys: !keys}
	for _, l := range lines {
		q.Keys = append(q.Keys, l.key)
	}
	a, err := ask(ctx, i.keys.ImportKeys, q)
	if err != nil {
		return nil, nil, err
	}
	var mistakes []importMistake
	for _, m := range a.GetMistakes() {
		if int(m.GetIndex()) >= len(lines) {
			return nil, nil, fmt.Errorf("the answer is about a key that was not asked for: use a client of the same version as the server")
		}
		mistakes = append(mistakes, importMistake{lines[m.GetIndex()].line, m.GetMessage()})
	}
	return a, mistakes, nil
}

// report says what was imported.
func (i *keyImport) report(cmd *cobra.Command) error {
	if !i.json() {
		text := plural.Count(i.imported, "key") + " imported"
		if i.dryRun {
			text = plural.Count(i.imported, "key") + " would be imported"
		}
		if i.present > 0 {
			text += fmt.Sprintf(", %d %s there already", i.present, plural.Pick(i.present, "was", "were"))
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
		return err
	}
	if !i.summary {
		return nil // each was printed as it was imported
	}
	at, err := messageJSON(i.at)
	if err != nil {
		return err
	}
	text, err := json.Marshal(struct {
		Lines    int             `json:"lines"`
		Imported int             `json:"imported"`
		Present  int             `json:"present"`
		DryRun   bool            `json:"dry_run"`
		Position json.RawMessage `json:"position"`
	}{i.lines, i.imported, i.present, i.dryRun, at})
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), text)
}

func newline(w io.Writer) error {
	_, err := io.WriteString(w, "\n")
	return err
}
