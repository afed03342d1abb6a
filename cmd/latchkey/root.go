package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/latchkey/latchkey/internal/plural"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

func newRoot() *cobra.Command {
	root := group("latchkey", "Check API keys at the mesh's edge, and manage them",
		newServe(), newStatus(), newTop(), newExplain(), newDemo(), newVersion(),
		newKeys(), newLog(), newDirectory(), newPolicy(), newEnvoy(), newReplicas(), newDB(),
	)
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.SetFlagErrorFunc(flagError)
	addColor(root)
	addPlaces(root)
	addCompletion(root)
	return root
}

// group returns a command that does nothing but hold others. Anything else
// after it is a wrong command line.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("a command is missing after `%s`: one of %s", cmd.CommandPath(), strings.Join(names(cmd), ", "))
			}
			if near := strictyaml.Nearest(args[0], names(cmd)); near != "" {
				return usagef("`%s` has no command %q: did you mean %q?", cmd.CommandPath(), args[0], near)
			}
			return usagef("`%s` has no command %q: it has %s", cmd.CommandPath(), args[0], strings.Join(names(cmd), ", "))
		},
	}
	c.AddCommand(commands...)
	return c
}

func names(cmd *cobra.Command) []string {
	var list []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			list = append(list, sub.Name())
		}
	}
	return list
}

// exactly is the check that each of the named arguments is there, and not empty, and no other.
// It doesn't repeat what was written: that might be a token.
func exactly(arguments ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(arguments):
			return usagef("%s is missing: latchkey %s", arguments[len(args)], strings.TrimPrefix(cmd.UseLine(), "latchkey "))
		case len(args) > len(arguments):
			return usagef("%s too many: latchkey %s", plural.Count(len(args)-len(arguments), "argument"), strings.TrimPrefix(cmd.UseLine(), "latchkey "))
		}
		for i, a := range args {
			if a == "" {
				return emptyArgument(arguments[i])
			}
		}
		return nil
	}
}

// emptyArgument is what is wrong with an argument that a script gives whose variable isn't set.
func emptyArgument(argument string) error {
	if argument == "FILE" {
		return usagef("FILE is given and empty: name a file")
	}
	return usagef("%s is given and empty: say which", argument)
}

// atLeastOne is the check that there is an argument, and none that is empty.
func atLeastOne(argument string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return exactly(argument)(cmd, args)
		}
		if slices.Contains(args, "") {
			return emptyArgument(argument)
		}
		return nil
	}
}

// flagError puts what is wrong with a flag in words of ours, without the value
// of the flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown):
		if unknown.GetSpecifiedShortnames() != "" {
			return usagef("there is no flag -%s", unknown.GetSpecifiedName())
		}
		var flags []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
		slices.Sort(flags)
		if near := strictyaml.Nearest(unknown.GetSpecifiedName(), flags); near != "" {
			return usagef("there is no flag --%s: did you mean --%s?", unknown.GetSpecifiedName(), near)
		}
		return usagef("there is no flag --%s", unknown.GetSpecifiedName())
	case errors.As(err, &invalid):
		return usagef("the value of --%s is wrong: %w", invalid.GetFlag().Name, invalid.Unwrap())
	case errors.As(err, &missing):
		return usagef("--%s needs a value", missing.GetFlag().Name)
	}
	return usagef("the flags can't be read: %s", fmt.Sprintf("see `%s --help`", cmd.CommandPath()))
}

// addPlaces has a command, and all below it, refuse to name no place.
func addPlaces(root *cobra.Command) {
	before := root.PersistentPreRunE
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := checkPlaces(cmd.Flags()); err != nil {
			return err
		}
		return before(cmd, args)
	}
}

// checkPlaces is the check that no flag that names a place names none.
func checkPlaces(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		given := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			given = list.GetSlice()
		}
		if wrong := serve.CheckPlace(f.Name, given...); wrong != nil && err == nil {
			err = usagef("%w", wrong)
		}
	})
	return err
}

// naming are the flags that name somebody or something. Left out, each means
// somebody or something else: the operator, or all.
var naming = []string{"action", "as", "environment", "identity", "key", "policy", "principal", "role", "status", "tenant", "type"}

// noneEmpty is the check that no flag that names something is given an empty
// name, as a script does whose variable isn't set: it must not mean the same as
// leaving the flag out.
func noneEmpty(cmd *cobra.Command) error {
	for _, name := range naming {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed && f.Value.Type() == "string" && f.Value.String() == "" {
			return emptyName(name)
		}
	}
	return nil
}

func emptyName(flag string) error {
	return usagef("--%s is given and empty: name one, or leave the flag out", flag)
}

// atMostOne is the check that no two of these flags are given.
func atMostOne(cmd *cobra.Command, flags ...string) error {
	var given []string
	for _, f := range flags {
		if cmd.Flags().Changed(f) {
			given = append(given, "--"+f)
		}
	}
	if len(given) > 1 {
		return usagef("%s exclude each other: give one of them", strings.Join(given, " and "))
	}
	return nil
}
