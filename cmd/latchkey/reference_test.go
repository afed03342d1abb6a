package main

import (
	_ "embed"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/latchkey/latchkey/internal/reference"
	"github.com/latchkey/latchkey/internal/strictyaml"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

var update = flag.Bool("update", false, "write the generated parts of docs/")

// configuration is config.proto with its comments. `make generate` writes it.
//
//go:embed testdata/config.binpb
var configuration []byte

const cliDocument = docsRoot + "/docs/cli.md"

// tree returns the commands as they are for everybody: not by what this
// machine's environment says.
func tree(t *testing.T) *cobra.Command {
	t.Helper()
	for _, name := range []string{"LATCHKEY_ADMIN", "LATCHKEY_CLIENT", "LATCHKEY_ENVOY"} {
		t.Setenv(name, "")
	}
	return newRoot()
}

// clientFlags are the flags that every command has which asks a process.
func clientFlags(t *testing.T) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	status, _, err := tree(t).Find([]string{"status"})
	if err != nil {
		t.Fatal(err)
	}
	status.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "output" {
			flags.AddFlag(f)
		}
	})
	return flags
}

func configMessages(t *testing.T) *reference.Messages {
	t.Helper()
	file, err := reference.Open(configuration)
	if err != nil {
		t.Fatal(err)
	}
	return &reference.Messages{File: file}
}

// TestReference holds the references of commands and configuration files
// against the commands and the descriptor.
func TestReference(t *testing.T) {
	common := clientFlags(t)
	for _, part := range []struct{ file, name, text string }{
		{cliDocument, "the commands of latchkey", reference.Commands(tree(t), 2, common)},
		{cliDocument, "the flags of commands that ask a process", reference.FlagTable(common)},
		{docsRoot + "/docs/configuration.md", "the configuration files", configMessages(t).Tables(2)},
	} {
		if err := reference.Keep(part.file, part.name, part.text, *update); err != nil {
			t.Error(err)
		}
	}
}

// TestReferenceDescriptorIsCurrent: the reference is made from config.binpb, the
// program from the generated Go. Both come from one config.proto.
func TestReferenceDescriptorIsCurrent(t *testing.T) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(configuration, &set); err != nil || len(set.GetFile()) != 1 {
		t.Fatal(err)
	}
	got := proto.Clone(set.GetFile()[0]).(*descriptorpb.FileDescriptorProto)
	got.SourceCodeInfo = nil
	if !proto.Equal(got, protodesc.ToFileDescriptorProto(configv1.File_latchkey_config_v1_config_proto)) {
		t.Error("testdata/config.binpb is not of this config.proto: run make generate")
	}
}

// TestReferenceConfiguration: each field says what it means, its example can be
// read, and a flag of its name has the same default.
func TestReferenceConfiguration(t *testing.T) {
	m := configMessages(t)
	commands := map[string]*cobra.Command{}
	for _, c := range tree(t).Commands() {
		commands[c.Name()] = c
	}
	compared := 0
	for i := range m.File.Messages().Len() {
		d := m.File.Messages().Get(i)
		for j := range d.Fields().Len() {
			f := d.Fields().Get(j)
			c := m.Comment(f)
			if c.Meaning == "" {
				t.Errorf("%s says nothing of itself", f.FullName())
			}
			readsExample(t, f, strings.Trim(c.Example, "`"))
			cmd := commands[strings.ToLower(string(d.Name()))]
			if cmd == nil || c.Default == "" {
				continue
			}
			if is := cmd.Flags().Lookup(strings.ReplaceAll(string(f.Name()), "_", "-")); is != nil {
				if says, _ := reference.Default(is); says != "" {
					compared++
					if says != strings.Trim(c.Default, "`") {
						t.Errorf("the default of %s is %s by config.proto, and %q by the flag", f.FullName(), c.Default, says)
					}
				}
			}
		}
	}
	if compared < 5 {
		t.Errorf("only %d defaults were compared", compared)
	}
}

func readsExample(t *testing.T, f protoreflect.FieldDescriptor, example string) {
	t.Helper()
	if example == "" {
		return
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(f.Parent().FullName())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strictyaml.Decode("example", []byte(string(f.Name())+": "+example), kind.New().Interface()); err != nil {
		t.Errorf("the example of %s: %v", f.FullName(), err)
	}
}

// TestReferenceExamples: each example of a command is a command line that there is.
func TestReferenceExamples(t *testing.T) {
	read := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		lines := commandLines(c.Example)
		own := len(lines) == 0 // some show what is read
		for _, words := range lines {
			read++
			found, rest, err := tree(t).Find(words)
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err != nil && !errors.Is(err, pflag.ErrHelp) {
				t.Errorf("%s: its example latchkey %s: %v", c.CommandPath(), strings.Join(words, " "), err)
			}
			own = own || found.CommandPath() == c.CommandPath()
		}
		if !own {
			t.Errorf("%s isn't in its own examples", c.CommandPath())
		}
	}
	walk(tree(t))
	if read < 10 {
		t.Errorf("only %d examples found", read)
	}
}

// commandLines returns the arguments of each call of latchkey in an example.
func commandLines(example string) (lines [][]string) {
	example = strings.NewReplacer("\\\n", " ", "'", "", `"`, "").Replace(example)
	for _, part := range strings.FieldsFunc(example, func(r rune) bool { return strings.ContainsRune("\n|&;()", r) }) {
		if at := strings.IndexAny(part, "<>#"); at >= 0 {
			part = part[:at] // what follows is the shell's
		}
		if words := strings.Fields(part); len(words) > 1 && words[0] == "latchkey" {
			lines = append(lines, words[1:])
		}
	}
	return lines
}

// TestReferenceExitCodes holds the table of exit codes against those that there are.
func TestReferenceExitCodes(t *testing.T) {
	var documented []string
	for _, row := range tableOf(t, "docs/cli.md", "exit code") {
		documented = append(documented, row[0])
	}
	var all []string
	for _, code := range []int{exitDone, exitFailed, exitUsage, exitDiffers, exitDenied} {
		all = append(all, strconv.Itoa(code))
	}
	if strings.Join(documented, " ") != strings.Join(all, " ") {
		t.Errorf("docs/cli.md has the exit codes %v, there are %v", documented, all)
	}
}

// TestReferenceKnowsNoMachine: no default is of the machine that wrote it.
func TestReferenceKnowsNoMachine(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash(cliDocument))
	if err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	home, _ := os.UserHomeDir()
	for _, word := range []string{host, home, os.TempDir()} {
		if len(word) > 4 && strings.Contains(string(text), word) {
			t.Errorf("docs/cli.md says %q", word)
		}
	}
}
