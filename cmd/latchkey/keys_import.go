package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// importBatch is how many keys are taken over in one write.
const importBatch = 1000

func newKeysImport() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE|- [flags]",
		Short: "Take over keys that were minted elsewhere",
		Long: `Take over keys that were minted elsewhere, from a file or stdin ("-"), one JSON
object a line: policy, type, environment, tenant, principal, creator, role,
scopes, name, description, expires_at or expires_in, system, and either token or
token_sha256 (in hex). All lines are checked before the first key is taken over.`,
		Example: `  {"policy":"kodey","type":"secret","tenant":"team:t_1","token_sha256":"9f86…"}`,
		Args:    exactly("FILE"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		in, err := openInput(cmd, args[0])
		if err != nil {
			return err
		}
		lines, mistakes, err := readImport(in)
		if err := closeInput(in, err); err != nil {
			return err
		}
		mistakes = append(mistakes, twins(lines)...)
		for batch := range slices.Chunk(lines, importBatch) {
			_, wrong, err := c.importBatch(cmd, batch, true)
			if err != nil {
				return err
			}
			mistakes = append(mistakes, wrong...)
		}
		if len(mistakes) > 0 {
			return fmt.Errorf("%s\nnothing was imported: %d of %d lines are wrong", tell(args[0], mistakes), count(mistakes), len(lines)+unread(mistakes, lines))
		}
		keys, err := c.importAll(cmd, args[0], lines, dryRun)
		if err != nil {
			return err
		}
		noteDryRun(cmd, dryRun)
		if !c.json() {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d keys imported\n", len(keys))
			return err
		}
		list, err := listJSON(keys)
		if err != nil {
			return err
		}
		return printJSON(cmd.OutOrStdout(), list)
	})
	addDryRun(cmd, &dryRun)
	return cmd
}

// importAll takes over all lines, which have been checked: what can go wrong
// now is what others do meanwhile.
func (c *client) importAll(cmd *cobra.Command, file string, lines []importLine, dryRun bool) ([]*adminv1.Key, error) {
	var keys []*adminv1.Key
	if dryRun {
		return keys, nil
	}
	for batch := range slices.Chunk(lines, importBatch) {
		made, wrong, err := c.importBatch(cmd, batch, false)
		if err == nil && len(wrong) > 0 {
			err = fmt.Errorf("%s", tell(file, wrong))
		}
		if err != nil {
			return nil, fmt.Errorf("%w\nthe lines before line %d were imported, that one and the rest were not: correct the file and import the rest", c.explain(err), batch[0].line)
		}
		keys = append(keys, made...)
	}
	return keys, nil
}

func (c *client) importBatch(cmd *cobra.Command, batch []importLine, dryRun bool) ([]*adminv1.Key, []importMistake, error) {
	q := &adminv1.ImportKeysRequest{DryRun: dryRun}
	for _, l := range batch {
		q.Keys = append(q.Keys, l.key)
	}
	a, err := ask(cmd.Context(), c.keys.ImportKeys, q)
	if err != nil {
		return nil, nil, err
	}
	var mistakes []importMistake
	for _, m := range a.GetMistakes() {
		if int(m.GetIndex()) >= len(batch) {
			return nil, nil, fmt.Errorf("the answer is about a key that was not asked for: use a client of the same version as the server")
		}
		mistakes = append(mistakes, importMistake{batch[m.GetIndex()].line, m.GetMessage()})
	}
	return a.GetKeys(), mistakes, nil
}

// twins finds tokens that stand on two lines: batches don't know of each other.
func twins(lines []importLine) []importMistake {
	var mistakes []importMistake
	first := map[string]int{}
	for _, l := range lines {
		digest := strings.ToLower(l.key.GetTokenSha256())
		if digest == "" {
			digest = fmt.Sprintf("%x", key.NewToken(l.key.GetToken()).Digest())
		}
		if at, ok := first[digest]; ok {
			mistakes = append(mistakes, importMistake{l.line, fmt.Sprintf("the token is that of line %d: leave one of them out", at)})
			continue
		}
		first[digest] = l.line
	}
	return mistakes
}

// tell lists mistakes in the order of the file, each with its place.
func tell(file string, mistakes []importMistake) string {
	slices.SortStableFunc(mistakes, func(a, b importMistake) int { return a.line - b.line })
	mistakes = slices.Compact(mistakes)
	text := make([]string, len(mistakes))
	for i, m := range mistakes {
		text[i] = fmt.Sprintf("%s:%d: %s", file, m.line, strings.ReplaceAll(m.message, "\n", "; "))
	}
	return strings.Join(text, "\n")
}

// count is how many lines have mistakes.
func count(mistakes []importMistake) int {
	lines := map[int]bool{}
	for _, m := range mistakes {
		lines[m.line] = true
	}
	return len(lines)
}

// unread is how many lines could not even be read.
func unread(mistakes []importMistake, lines []importLine) int {
	read := map[int]bool{}
	for _, l := range lines {
		read[l.line] = true
	}
	n := 0
	seen := map[int]bool{}
	for _, m := range mistakes {
		if !read[m.line] && !seen[m.line] {
			seen[m.line] = true
			n++
		}
	}
	return n
}
