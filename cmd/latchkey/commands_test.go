package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// everyCommand calls f with each command that does something.
func everyCommand(f func(*cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Runnable() && !cmd.HasSubCommands() && cmd.Name() != "help" {
			f(cmd)
		}
	}
	walk(newRoot())
}

// What `--help` owes to people: what the command does, and what it looks like when it is typed.
func TestEveryCommandExplainsItself(t *testing.T) {
	n := 0
	everyCommand(func(cmd *cobra.Command) {
		n++
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short is %q: say in a few words, without a period, what it does", path, cmd.Short)
		}
		if takes := cmd.Flags().HasFlags() || len(strings.Fields(cmd.Use)) > 1; takes && cmd.Example == "" {
			t.Errorf("%s takes arguments or flags and has no Example", path)
		}
		if cmd.Example != "" && !strings.Contains(cmd.Example, path) {
			t.Errorf("%s: its Example doesn't call it", path)
		}
		for line := range strings.SplitSeq(cmd.Long+"\n"+cmd.Example, "\n") {
			if len([]rune(line)) > 115 && !strings.Contains(path, " completion ") {
				t.Errorf("%s: a line of its help is wider than a terminal: %s", path, line)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s says nothing about itself", path, f.Name)
			}
		})
	})
	if n < 30 {
		t.Errorf("only %d commands were seen", n)
	}
}

// readers are the commands that change nothing, or make no more than a file that
// isn't there. Every other is a write, so that a new one is until it is named here.
var readers = []string{
	"completion bash", "completion fish", "completion powershell", "completion zsh", "db backup", "db check", "demo", "directory get",
	"envoy config", "envoy lint", "explain", "keys export", "keys list", "keys show", "keys usage", "log", "policy check", "policy diff", "policy list",
	"policy matrix", "policy schema", "policy test", "replicas await", "replicas list", "serve", "status", "top", "version",
}

// What is asked of commands by what they do.
func TestEveryCommandHasItsFlags(t *testing.T) {
	writes := 0
	everyCommand(func(cmd *cobra.Command) {
		path, has := cmd.CommandPath(), func(name string) bool { return cmd.Flags().Lookup(name) != nil }
		write := !slices.Contains(readers, strings.TrimPrefix(path, "latchkey "))
		if o := cmd.Flags().Lookup("output"); (write || cmd.Name() == "list" || cmd.Name() == "get") && (o == nil || !strings.Contains(o.Usage, "json")) {
			t.Errorf("%s: a list, and a write, has -o json", path)
		}
		if write {
			writes++
		}
		if write && !has("dry-run") {
			t.Errorf("%s: a write can be tried: it needs --dry-run", path)
		}
		if f := cmd.Flags().Lookup("admin"); f != nil && asksAProcess(f) && (!has("output") || !has("client-config")) {
			t.Errorf("%s asks a process, and lacks -o or the flags of a link over TCP", path)
		}
		if has("yes") && !has("dry-run") {
			t.Errorf("%s asks, and can't be tried", path)
		}
	})
	if writes < 12 {
		t.Errorf("only %d commands write", writes)
	}
}

func asksAProcess(f *pflag.Flag) bool {
	_, ok := f.Value.(*adminValue)
	return ok
}

// A flag means the same everywhere, so that what it may be is known by its name.
func TestEveryNameIsCompleted(t *testing.T) {
	everyCommand(func(cmd *cobra.Command) {
		for _, name := range append(slices.Clone(naming), "creator", "from-creator", "scope", "output", "color") {
			f := cmd.Flags().Lookup(name)
			if f == nil || name == "identity" {
				continue // of a replica: it goes with its id
			}
			if _, ok := cmd.GetFlagCompletionFunc(name); !ok {
				t.Errorf("%s: --%s isn't completed", cmd.CommandPath(), name)
			}
		}
		if cmd.ValidArgsFunction == nil && !strings.Contains(cmd.CommandPath(), " completion ") {
			t.Errorf("%s: its arguments aren't completed", cmd.CommandPath())
		}
		for n := range 3 {
			switch name := argumentOf(cmd, n); name {
			case "", "FILE", "PATH", "NEW", "BACKUP", "METHOD", "URL", "NAME", "OLD":
			case "ID":
				path := strings.TrimPrefix(cmd.CommandPath(), "latchkey ")
				if idProposals[path] == nil && idProposals[strings.Fields(path)[0]] == nil {
					t.Errorf("%s: it isn't known which ids it takes", cmd.CommandPath())
				}
			default:
				t.Errorf("%s: what %s may be isn't known", cmd.CommandPath(), name)
			}
		}
	})
}
