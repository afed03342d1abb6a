package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// maxImportLine is the longest line of an import, in bytes.
const maxImportLine = 1 << 20

// importLine is one key of an import and the line that it stands on, from 1.
type importLine struct {
	line int
	key  *adminv1.ImportKey
}

// importMistake is what is wrong with a line. It never quotes the line, which
// may hold a token at any place.
type importMistake struct {
	line    int
	message string
}

// readImport reads all lines that can be read, and what is wrong with the
// others. Empty lines are left out. The error is one of reading.
func readImport(in io.Reader) ([]importLine, []importMistake, error) {
	var lines []importLine
	var mistakes []importMistake
	scan := bufio.NewScanner(in)
	scan.Buffer(nil, maxImportLine)
	n := 0
	for scan.Scan() {
		n++
		if len(bytes.TrimSpace(scan.Bytes())) == 0 {
			continue
		}
		k, err := readImportLine(scan.Bytes())
		if err != nil {
			mistakes = append(mistakes, importMistake{n, err.Error()})
			continue
		}
		lines = append(lines, importLine{n, k})
	}
	if errors.Is(scan.Err(), bufio.ErrTooLong) {
		return nil, nil, fmt.Errorf("line %d is longer than %d bytes: write one key a line", n+1, maxImportLine)
	}
	if scan.Err() == nil && len(lines)+len(mistakes) == 0 {
		return nil, nil, errors.New("there are no keys in it: write one JSON object a line")
	}
	return lines, mistakes, scan.Err()
}

func readImportLine(text []byte) (*adminv1.ImportKey, error) {
	k := &adminv1.ImportKey{Key: &adminv1.KeyFields{}}
	fields := importFields(k)
	known := make([]string, 0, len(fields))
	for name := range fields {
		known = append(known, name)
	}
	slices.Sort(known)

	d := json.NewDecoder(bytes.NewReader(text))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("it is no JSON object: write {\"policy\": …} on one line")
	}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, malformed(d)
		}
		set := fields[name.(string)] // members of an object have names that are text
		switch {
		case set == nil && strictyaml.Nearest(name.(string), known) != "":
			return nil, fmt.Errorf("it has a field that keys don't have: did you mean %q?", strictyaml.Nearest(name.(string), known))
		case set == nil:
			return nil, fmt.Errorf("it has a field that keys don't have: they have %s", strings.Join(known, ", "))
		case seen[name.(string)]:
			return nil, fmt.Errorf("the field %s stands twice: leave one of them out", name)
		}
		seen[name.(string)] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, malformed(d)
		}
		if err := set(value); err != nil {
			return nil, fmt.Errorf("the field %s: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed(d)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one object on the line: write one a line")
	}
	return k, nil
}

func malformed(d *json.Decoder) error {
	return fmt.Errorf("it is no JSON from character %d on: write one object a line", d.InputOffset()+1)
}

// importFields are the fields of a line, each with what reads its value. What
// they complain about never has the value in it.
func importFields(k *adminv1.ImportKey) map[string]func(json.RawMessage) error {
	text := func(into *string) func(json.RawMessage) error {
		return func(value json.RawMessage) error { return decode(value, into, "a text") }
	}
	return map[string]func(json.RawMessage) error{
		"policy":       text(&k.Key.Policy),
		"type":         text(&k.Key.Type),
		"environment":  text(&k.Key.Environment),
		"tenant":       text(&k.Key.Tenant),
		"principal":    text(&k.Key.Principal),
		"role":         text(&k.Key.Role),
		"name":         text(&k.Key.Name),
		"description":  text(&k.Key.Description),
		"creator":      text(&k.Creator),
		"token":        text(&k.Token),
		"token_sha256": text(&k.TokenSha256),
		"scopes":       func(value json.RawMessage) error { return decode(value, &k.Key.Scopes, "a list of texts") },
		"system":       func(value json.RawMessage) error { return decode(value, &k.Key.System, "true or false") },
		"expires_at": func(value json.RawMessage) error {
			var s string
			err := decode(value, &s, "a text")
			if err == nil {
				if k.Key.ExpiresAt, err = parseTime(s); err != nil {
					err = errors.New("it is no time: write it as 2030-01-31T12:00:00Z")
				}
			}
			return err
		},
		"expires_in": func(value json.RawMessage) error {
			var s string
			if err := decode(value, &s, "a text"); err != nil {
				return err
			}
			d, err := strictyaml.ParseDuration(s)
			if err != nil {
				return errors.New("it is no length of time: write it as 90d or 12h")
			}
			k.Key.ExpiresIn = durationpb.New(d)
			return nil
		},
	}
}

func decode(value json.RawMessage, into any, what string) error {
	if string(value) == "null" {
		return fmt.Errorf("it is null: write %s or leave it out", what)
	}
	if err := json.Unmarshal(value, into); err != nil {
		return fmt.Errorf("write %s", what)
	}
	return nil
}
