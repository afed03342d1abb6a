package reference_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/reference"
)

func TestKeep(t *testing.T) {
	const around = "# Title\n<!-- generated: it -->\n%<!-- end of it -->\nmore\n"
	file := filepath.Join(t.TempDir(), "document.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(around, "%", "one\ntwo\n", 1))
	if err := reference.Keep(file, "it", "one\ntwo\n", false); err != nil {
		t.Errorf("the same: %v", err)
	}
	if err := reference.Keep(file, "it", "one\nthree\n", false); err == nil || !strings.HasSuffix(err.Error(), "is\ntwo\nwant\nthree") {
		t.Errorf("another text: %v", err)
	}
	if err := reference.Keep(file, "it", "one\nthree\n", true); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != strings.Replace(around, "%", "one\nthree\n", 1) {
		t.Errorf("it was written as %q, %v", text, err)
	}
	for _, without := range []string{"", "<!-- generated: it -->\n", "<!-- end of it -->\n"} {
		write(without)
		if err := reference.Keep(file, "it", "", true); err == nil {
			t.Errorf("%q has no place for it, and there is no error", without)
		}
	}
}

func TestCommands(t *testing.T) {
	root := &cobra.Command{Use: "tool", Short: "Do things"}
	sub := &cobra.Command{Use: "run NAME [flags]", Short: "Run one", Example: "  tool run it\n  tool run that", Run: func(*cobra.Command, []string) {}}
	sub.Flags().StringP("kind", "k", "", "a or b|c (default a)")
	sub.Flags().Int("times", 3, "how often")
	sub.Flags().String("shared", "", "told elsewhere")
	hidden := &cobra.Command{Use: "secret", Hidden: true, Run: func(*cobra.Command, []string) {}}
	root.AddCommand(sub, hidden)
	common := (&cobra.Command{}).Flags()
	common.String("shared", "", "told elsewhere")

	got := reference.Commands(root, 2, common)
	for _, want := range []string{
		"## `tool`\n\nDo things.\n\n| command | what it does |\n|---|---|\n| [`tool run`](#tool-run) | Run one |\n\n",
		"### `tool run`\n\nRun one.\n\n```\ntool run NAME [flags]\n```\n\n",
		"| flag | value | default | what it says |\n|---|---|---|---|\n| `-k, --kind` | text | `a` | a or b\\|c |\n| `--times` | number | `3` | how often |\n\nAnd those of ",
		"For example:\n\n```\ntool run it\ntool run that\n```\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwithout\n%s", got, want)
		}
	}
	for _, not := range []string{"secret", "told elsewhere", "help"} {
		if strings.Contains(got, not) {
			t.Errorf("got\n%s\nwith %s", got, not)
		}
	}
}
