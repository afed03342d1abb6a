package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

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

// readImportLine reads one line. What it complains about never has the line in it.
func readImportLine(text []byte) (*adminv1.ImportKey, error) {
	k := &adminv1.ImportKey{Key: &adminv1.KeyFields{}}
	if !utf8.Valid(text) { // encoding/json would put U+FFFD in without a word
		return k, errors.New("it is no UTF-8 text: save the file as UTF-8")
	}
	err := readObject(text, func(name string, value json.RawMessage) error {
		field, ok := importFields[name]
		if !ok {
			return unknownField(name, importFields)
		}
		return field(k, value)
	})
	return k, err
}

// readObject reads a JSON object, and nothing else, member by member.
func readObject(text []byte, member func(name string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return errors.New("it is no JSON object: write {\"policy\": …} on one line")
	}
	var seen []string
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return malformed(d)
		}
		name := token.(string) // members of an object have names that are text
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return malformed(d)
		}
		if slices.Contains(seen, name) {
			return fmt.Errorf("the field %s stands twice: leave one of them out", name)
		}
		if err := member(name, value); err != nil {
			if errors.Is(err, errUnknownField) {
				return err
			}
			return fmt.Errorf("the field %s: %w", name, err)
		}
		seen = append(seen, name) // it is one of ours
	}
	if _, err := d.Token(); err != nil {
		return malformed(d)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one object on the line: write one a line")
	}
	return nil
}

var errUnknownField = errors.New("it has a field that keys don't have")

// unknownField says which fields there are. It doesn't repeat the one that isn't
// one of them, which may be a token.
func unknownField[F any](name string, fields map[string]F) error {
	known := slices.Sorted(maps.Keys(fields))
	if near := strictyaml.Nearest(name, known); near != "" {
		return fmt.Errorf("%w: did you mean %q?", errUnknownField, near)
	}
	return fmt.Errorf("%w: they have %s", errUnknownField, strings.Join(known, ", "))
}

func malformed(d *json.Decoder) error {
	return fmt.Errorf("it is no JSON from character %d on: write one object a line", d.InputOffset()+1)
}

// importFields are the fields of a line, each with what reads its value. What
// they complain about never has the value in it.
var importFields = map[string]func(*adminv1.ImportKey, json.RawMessage) error{
	"policy":      text(func(k *adminv1.ImportKey) *string { return &k.Key.Policy }),
	"type":        text(func(k *adminv1.ImportKey) *string { return &k.Key.Type }),
	"environment": text(func(k *adminv1.ImportKey) *string { return &k.Key.Environment }),
	"tenant":      text(func(k *adminv1.ImportKey) *string { return &k.Key.Tenant }),
	"principal":   text(func(k *adminv1.ImportKey) *string { return &k.Key.Principal }),
	"role":        text(func(k *adminv1.ImportKey) *string { return &k.Key.Role }),
	"name":        text(func(k *adminv1.ImportKey) *string { return &k.Key.Name }),
	"description": text(func(k *adminv1.ImportKey) *string { return &k.Key.Description }),
	"expires_at":  instantField(func(k *adminv1.ImportKey) **timestamppb.Timestamp { return &k.Key.ExpiresAt }),
	"scopes": func(k *adminv1.ImportKey, v json.RawMessage) error {
		return decode(v, &k.Key.Scopes, "a list of texts")
	},
	"system": func(k *adminv1.ImportKey, v json.RawMessage) error { return decode(v, &k.Key.System, "true or false") },
	"expires_in": func(k *adminv1.ImportKey, value json.RawMessage) error {
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
	"creator":      text(func(k *adminv1.ImportKey) *string { return &k.Creator }),
	"token":        text(func(k *adminv1.ImportKey) *string { return &k.Token }),
	"token_sha256": text(func(k *adminv1.ImportKey) *string { return &k.TokenSha256 }),
	"prefix":       text(func(k *adminv1.ImportKey) *string { return &k.Prefix }),
	"last4":        text(func(k *adminv1.ImportKey) *string { return &k.Last4 }),
	"id":           text(func(k *adminv1.ImportKey) *string { return &k.Id }),
	"created_at":   instantField(func(k *adminv1.ImportKey) **timestamppb.Timestamp { return &k.CreatedAt }),
	"rotated_at":   instantField(func(k *adminv1.ImportKey) **timestamppb.Timestamp { return &k.RotatedAt }),
	"revoked_at":   instantField(func(k *adminv1.ImportKey) **timestamppb.Timestamp { return &k.RevokedAt }),
	"disabled":     func(k *adminv1.ImportKey, v json.RawMessage) error { return decode(v, &k.Disabled, "true or false") },
	"former_secrets": func(k *adminv1.ImportKey, value json.RawMessage) error {
		var list []json.RawMessage
		if err := decode(value, &list, "a list of objects"); err != nil {
			return err
		}
		for _, one := range list {
			s := &adminv1.FormerSecret{}
			if err := readObject(one, func(name string, value json.RawMessage) error {
				field, ok := secretFields[name]
				if !ok {
					return unknownField(name, secretFields)
				}
				return field(s, value)
			}); err != nil {
				return err
			}
			k.FormerSecrets = append(k.FormerSecrets, s)
		}
		return nil
	},
}

// secretFields are the fields of a former secret.
var secretFields = map[string]func(*adminv1.FormerSecret, json.RawMessage) error{
	"token_sha256": text(func(s *adminv1.FormerSecret) *string { return &s.TokenSha256 }),
	"prefix":       text(func(s *adminv1.FormerSecret) *string { return &s.Prefix }),
	"last4":        text(func(s *adminv1.FormerSecret) *string { return &s.Last4 }),
	"created_at":   instantField(func(s *adminv1.FormerSecret) **timestamppb.Timestamp { return &s.CreatedAt }),
	"until":        instantField(func(s *adminv1.FormerSecret) **timestamppb.Timestamp { return &s.Until }),
}

// text reads a field that is text.
func text[M any](of func(M) *string) func(M, json.RawMessage) error {
	return func(m M, value json.RawMessage) error { return decode(value, of(m), "a text") }
}

// instantField reads a field that is a time.
func instantField[M any](of func(M) **timestamppb.Timestamp) func(M, json.RawMessage) error {
	return func(m M, value json.RawMessage) error {
		var s string
		err := decode(value, &s, "a text")
		if err == nil {
			if *of(m), err = parseTime(s); err != nil {
				err = errors.New("it is no time: write it as 2030-01-31T12:00:00Z")
			}
		}
		return err
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
