package policy

import (
	"encoding/json"
	"fmt"
	"strings"

	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// templater turns JSON and text with placeholders into pieces. Words are
// known when the policy is compiled and are filled in at once; they may hold
// placeholders of facts themselves.
type templater struct {
	words  map[string]string
	pieces []piece
	buf    strings.Builder
	err    error
}

func (t *templater) done() []piece {
	t.flush()
	return t.pieces
}

// join makes one piece of the literal text between two placeholders, so that a
// reply is written in as few as may be.
func join(pieces []piece) []piece {
	var joined []piece
	for _, p := range pieces {
		if last := len(joined) - 1; last >= 0 && p.fact == 0 && joined[last].fact == 0 {
			joined[last].text += p.text
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

func (t *templater) flush() {
	if t.buf.Len() > 0 {
		t.pieces = append(t.pieces, piece{text: t.buf.String()})
		t.buf.Reset()
	}
}

func (t *templater) json(v *policyv1.JsonValue) {
	switch v := v.GetValue().(type) {
	case *policyv1.JsonValue_Text:
		t.buf.WriteByte('"')
		t.text(v.Text, escapeJSON)
		t.buf.WriteByte('"')
	case *policyv1.JsonValue_Literal:
		if !json.Valid([]byte(v.Literal)) {
			t.err = fmt.Errorf("%q is not a JSON value: write a number, true, false, null, or text in quotes", v.Literal)
		}
		t.buf.WriteString(v.Literal)
	case *policyv1.JsonValue_Object:
		t.buf.WriteByte('{')
		for i, m := range v.Object.GetMembers() {
			if i > 0 {
				t.buf.WriteByte(',')
			}
			t.buf.WriteString(`"` + escapeJSON(m.GetName()) + `":`)
			t.json(m.GetValue())
		}
		t.buf.WriteByte('}')
	case *policyv1.JsonValue_Array:
		t.buf.WriteByte('[')
		for i, item := range v.Array.GetItems() {
			if i > 0 {
				t.buf.WriteByte(',')
			}
			t.json(item)
		}
		t.buf.WriteByte(']')
	default:
		t.buf.WriteString("null")
	}
}

// text adds text, its placeholders filled or kept. Braces around anything
// that is not made of lower-case letters, dots and _ are ordinary text.
func (t *templater) text(s string, escape func(string) string) {
	for s != "" {
		end := strings.IndexByte(s, '}')
		if end < 0 {
			break
		}
		open := strings.LastIndexByte(s[:end], '{') // the innermost: a placeholder may stand within braces
		if open < 0 {
			t.buf.WriteString(escape(s[:end+1]))
			s = s[end+1:]
			continue
		}
		t.buf.WriteString(escape(s[:open]))
		name := s[open+1 : end]
		word, isWord := t.words[name]
		switch {
		case isWord:
			inner := templater{} // a word's own placeholders are facts only
			inner.text(word, escape)
			t.flush()
			t.pieces = append(t.pieces, inner.done()...)
			if inner.err != nil {
				t.err = inner.err
			}
		case factNames[name] != 0:
			t.flush()
			t.pieces = append(t.pieces, piece{fact: factNames[name]})
		case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_.") == "" && name != "":
			words := ""
			if t.words != nil {
				words = "{code}, {message}, {reason}, "
			}
			t.err = fmt.Errorf("{%s} is not a placeholder here: there are %s{request_id}, {key.environment} and {request.environment}", name, words)
		default:
			t.buf.WriteString(escape(s[open : end+1]))
		}
		s = s[end+1:]
	}
	t.buf.WriteString(escape(s))
}

// escapeJSON returns text as it stands between the quotes of a JSON string.
func escapeJSON(s string) string {
	if !needsEscape(s) {
		return s
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // strings always encode
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

func needsEscape(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return true
		}
	}
	return false
}
