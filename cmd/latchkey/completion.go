package main

import (
	"cmp"
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const (
	// completionTime is how long somebody who has pressed a key waits.
	completionTime = 700 * time.Millisecond
	// completionMost is how many names are proposed, of however many there are.
	completionMost = 100
)

// completer proposes what a word of a command line may be, by asking the
// running process. It says nothing where none answers.
type completer struct {
	*client
	cmd   *cobra.Command
	ctx   context.Context
	args  []string
	begun string // what there is of the word
}

// proposals are names, each with a tab and what it is, if that is worth saying.
type proposals func(*completer) []string

// flagProposals say what the value of a flag may be, by its name: a flag means
// the same in every command.
var flagProposals = map[string]proposals{
	"as": proposePrincipals, "principal": proposePrincipals, "creator": proposePrincipals, "from-creator": proposePrincipals,
	"tenant": proposeTenants, "policy": proposePolicies, "type": proposeTypes, "role": proposeRoles, "scope": proposeScopes, "environment": proposeEnvironments,
	"status": proposeStatuses, "key": keysOf(nil), "action": proposeActions,
	"color": words("auto", "always", "never"),
}

// argumentProposals say what an argument may be, by its name in the line of use.
var argumentProposals = map[string]proposals{
	"METHOD": words("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
	"URL":    proposeUrls,
	"NAME":   proposePolicies,
	"OLD":    proposePolicies,
}

// idProposals say what an ID may be of, by the command.
var idProposals = map[string]proposals{
	"keys":         keysOf(func(k *adminv1.Key) bool { return k.GetStatus() != "revoked" }),
	"keys show":    keysOf(nil),
	"keys enable":  keysOf(func(k *adminv1.Key) bool { return k.GetStatus() == "disabled" }),
	"keys disable": keysOf(func(k *adminv1.Key) bool { return k.GetStatus() != "revoked" && k.GetStatus() != "disabled" }),
	"log":          proposeObjects,
	"replicas":     proposeReplicas,
}

// addCompletion gives all commands what their words may be. It is done in this
// one place when all of them are there.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { completeFlag(cmd, f) })
		if cmd.ValidArgsFunction == nil && cmd.Runnable() && !cmd.HasSubCommands() {
			cmd.ValidArgsFunction = completeArguments
		}
	}
	walk(root)
	completeFlag(root, root.PersistentFlags().Lookup("color"))
	for _, shell := range root.Commands() {
		if shell.Name() == "completion" {
			for _, c := range shell.Commands() {
				c.Example = "  " + c.CommandPath() + " --help"
			}
		}
	}
}

// completeFlag gives a flag what its values may be, if that is known.
func completeFlag(cmd *cobra.Command, f *pflag.Flag) {
	propose := flagProposals[f.Name]
	if f.Name == "output" {
		propose = words(strings.Split(f.Usage, " or ")...)
	}
	if propose == nil {
		return
	}
	// The one error is that of a flag that was given values before: those stay.
	_ = cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		return proposed(propose, cmd, args, begun), cobra.ShellCompDirectiveNoFileComp
	})
}

// completeArguments says what the next argument may be, by the line of use.
func completeArguments(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	name := argumentOf(cmd, len(args))
	switch name {
	case "":
		return nil, cobra.ShellCompDirectiveNoFileComp
	case "FILE", "PATH", "NEW", "BACKUP":
		return nil, cobra.ShellCompDirectiveDefault // files
	case "ID":
		path := strings.TrimPrefix(cmd.CommandPath(), "latchkey ")
		propose := idProposals[path]
		if propose == nil {
			propose = idProposals[strings.Fields(path)[0]]
		}
		return proposed(propose, cmd, args, begun), cobra.ShellCompDirectiveNoFileComp
	}
	list := proposed(argumentProposals[name], cmd, args, begun)
	if name == "OLD" {
		return list, cobra.ShellCompDirectiveDefault // files too
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// argumentOf returns the name of the n-th argument, from 0, as in `ID`, `[ID]`,
// `PATH...` or `FILE|-`.
func argumentOf(cmd *cobra.Command, n int) string {
	before := ""
	for _, word := range strings.Fields(cmd.Use)[1:] {
		ofFlag := strings.HasPrefix(before, "-")
		before = word
		if word = strings.Trim(word, "[]"); ofFlag || word == strings.ToLower(word) {
			continue
		}
		name, more := strings.CutSuffix(word, "...")
		if n == 0 || more {
			name, _, _ = strings.Cut(name, "|")
			return name
		}
		n--
	}
	return ""
}

// proposed asks for proposals, and returns those that go on from what there is.
func proposed(propose proposals, cmd *cobra.Command, args []string, begun string) (list []string) {
	if propose == nil {
		return nil
	}
	c := &completer{cmd: cmd, args: args, begun: begun}
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(ctx, completionTime)
	defer cancel()
	if f := cmd.Flags().Lookup("admin"); f != nil {
		if a, ok := f.Value.(*adminValue); ok {
			c.client = a.client
			if c.link.load(c.ctx) != nil {
				return nil
			}
			c.admin = cmp.Or(c.named(cmd), c.admin)
			if c.connect(c.ctx, io.Discard) != nil {
				return nil
			}
		}
	}
	for _, one := range propose(c) {
		if strings.HasPrefix(one, begun) {
			list = append(list, one)
		}
	}
	return list
}

// flag returns what the command line says for a flag before the word.
func (c *completer) flag(name string) string {
	if f := c.cmd.Flags().Lookup(name); f != nil && f.Changed {
		return f.Value.String()
	}
	return ""
}

func words(list ...string) proposals { return func(*completer) []string { return list } }

// adminValue is the flag --admin, by which a command's client is found.
type adminValue struct{ client *client }

var _ pflag.Value = (*adminValue)(nil)

// Set implements pflag.Value.
func (a *adminValue) Set(text string) error { a.client.admin = text; return nil }

// String implements pflag.Value.
func (a *adminValue) String() string {
	if a.client == nil {
		return ""
	}
	return a.client.admin
}

// Type implements pflag.Value.
func (a *adminValue) Type() string { return "string" }
