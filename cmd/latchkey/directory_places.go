package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/internal/strictyaml"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// locatedError is what the process says is wrong with a directory, mistake by mistake with its place in the file: those that
// have one in the order of the file, and what is about no object of it after them.
func locatedError(source *strictyaml.Source, d *directoryv1.Directory, err error) error {
	var call *connect.Error
	if !errors.As(err, &call) {
		return err
	}
	var placed strictyaml.Mistakes
	var others []error
	for line := range strings.SplitSeq(call.Message(), "\n") {
		if path := pathIn(d, line); path != nil {
			placed = append(placed, source.Mistake(path, line, ""))
		} else {
			others = append(others, errors.New(line))
		}
	}
	if placed == nil {
		return err
	}
	placed.Sort()
	return errors.Join(append([]error{placed}, others...)...)
}

// located is a message about an object of a directory, with its place in the file if the file has the object.
func located(source *strictyaml.Source, d *directoryv1.Directory, message string) string {
	path := pathIn(d, message)
	if path == nil {
		return message
	}
	return source.Mistake(path, message, "").String()
}

// pathIn leads to what of a directory a message is about. Such a message begins with the section and the name of the object,
// and goes on with the field and the tenant in it, where it is about one. Of an object that stands twice it is the second.
func pathIn(d *directoryv1.Directory, message string) []string {
	words := strings.Split(message, ": ")
	if len(words) < 3 {
		return nil
	}
	var names []string
	switch words[0] {
	case "tenants":
		for _, t := range d.GetTenants() {
			names = append(names, t.GetId())
		}
	case "principals":
		for _, p := range d.GetPrincipals() {
			names = append(names, p.GetId())
		}
	}
	slices.Reverse(names)
	i := slices.Index(names, words[1])
	if i < 0 {
		return nil
	}
	path := []string{words[0], strconv.Itoa(len(names) - 1 - i)}
	switch {
	case words[2] == "plan":
		path = append(path, words[2])
	case words[2] == "parent", strings.HasPrefix(words[2], "its parent"):
		path = append(path, "parent")
	case words[2] == "memberships", words[2] == "permissions":
		path = append(path, words[2])
		if len(words) > 4 {
			path = append(path, words[3])
		}
	}
	return path
}
