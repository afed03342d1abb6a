package reference

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands returns the reference of a command and of all below it that aren't hidden: what each does, how it is called,
// its flags and examples. Headings of those below are of the given level and deeper. Flags that common has too, with the
// same words, are told once, at the heading of that name in the document; common may be nil.
func Commands(root *cobra.Command, level int, common *pflag.FlagSet) string {
	var b strings.Builder
	walk(&b, root, level, common)
	return b.String()
}

func walk(b *strings.Builder, c *cobra.Command, level int, common *pflag.FlagSet) {
	if c.Hidden {
		return
	}
	fmt.Fprintf(b, "%s `%s`\n\n", strings.Repeat("#", level), c.CommandPath())
	if c.HasSubCommands() {
		b.WriteString(sentence(c.Short) + "\n\n")
		t := table{head: []string{"command", "what it does"}}
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				t.add(fmt.Sprintf("[`%s`](#%s)", sub.CommandPath(), strings.ReplaceAll(sub.CommandPath(), " ", "-")), sub.Short)
			}
		}
		t.write(b)
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				walk(b, sub, level+1, common)
			}
		}
		return
	}
	text := c.Long
	if text == "" {
		text = sentence(c.Short)
	}
	b.WriteString(text + "\n\n```\n" + c.UseLine() + "\n```\n\n")
	writeFlags(b, c, common)
	if c.Example != "" {
		b.WriteString("For example:\n\n```\n" + outdented(c.Example) + "\n```\n\n")
	}
}

// FlagTable returns the table of some flags.
func FlagTable(flags *pflag.FlagSet) string {
	var b strings.Builder
	t := table{head: flagHead}
	flags.VisitAll(func(f *pflag.Flag) { t.add(flagRow(f)...) })
	t.write(&b)
	return b.String()
}

var flagHead = []string{"flag", "value", "default", "what it says"}

func writeFlags(b *strings.Builder, c *cobra.Command, common *pflag.FlagSet) {
	t := table{head: flagHead}
	shared := false
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Hidden, f.Name == "help", f.Name == "version":
		case common != nil && common.Lookup(f.Name) != nil && common.Lookup(f.Name).Usage == f.Usage:
			shared = true
		default:
			t.add(flagRow(f)...)
		}
	})
	if len(t.rows) > 0 {
		t.write(b)
	}
	if shared {
		b.WriteString("And those of [every command that asks a process](#flags-of-every-command-that-asks-a-process).\n\n")
	}
}

// said is a default that stands in the words of a flag, where an empty value means something.
var said = regexp.MustCompile(`\s*\(default (.*)\)$`)

// Default returns what a flag says of its default, and its words without that.
func Default(f *pflag.Flag) (is, words string) {
	if m := said.FindStringSubmatch(f.Usage); m != nil {
		return m[1], strings.TrimSuffix(f.Usage, m[0])
	}
	switch f.DefValue {
	case "", "0", "false", "[]":
		return "", f.Usage
	}
	return f.DefValue, f.Usage
}

func flagRow(f *pflag.Flag) []string {
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	kind := map[string]string{
		"string": "text", "stringArray": "text, repeatable", "stringToString": "name=text, repeatable", "bool": "", "uint64": "number", "int": "number",
	}
	value, ok := kind[f.Value.Type()]
	if !ok {
		value = f.Value.Type()
	}
	is, words := Default(f)
	if !strings.Contains(is, " ") || strings.ContainsAny(is, "<:") { // else it is told in words
		is = code(is)
	}
	return []string{code(name), value, is, words}
}

// outdented is text without the two spaces that help texts are set in by.
func outdented(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}
