package strictyaml

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar reads the value of a field that is no message, or one element of it.
func (d *decoder) scalar(n *yaml.Node, field protoreflect.FieldDescriptor, s *spot) (v protoreflect.Value, ok bool) {
	if d.bad[n] {
		return v, false
	}
	s.value(n)
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(n.Value), d.isText(n, s, fieldName(s))
	case protoreflect.BoolKind:
		if n.Kind != yaml.ScalarNode || !plain(n) || n.Value != "true" && n.Value != "false" {
			d.wrong(s, n, fmt.Sprintf("%s takes true or false, not %s", fieldName(s), shown(n)), "write true or false")
			return v, false
		}
		return protoreflect.ValueOfBool(n.Value == "true"), true
	case protoreflect.EnumKind:
		return d.enum(n, field.Enum(), s)
	case protoreflect.DoubleKind:
		return d.fraction(n, s)
	default:
		return d.number(n, field, s)
	}
}

// number reads a whole number.
func (d *decoder) number(n *yaml.Node, field protoreflect.FieldDescriptor, s *spot) (v protoreflect.Value, ok bool) {
	if n.Kind != yaml.ScalarNode || !plain(n) || !isDecimal(n.Value) {
		d.wrong(s, n, fmt.Sprintf("%s takes a whole number, not %s", fieldName(s), shown(n)), "write decimal digits, without quotes or leading zeros")
		return v, false
	}
	var err error
	switch field.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		var i int64
		i, err = strconv.ParseInt(n.Value, 10, 32)
		v = protoreflect.ValueOfInt32(int32(i))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		var i int64
		i, err = strconv.ParseInt(n.Value, 10, 64)
		v = protoreflect.ValueOfInt64(i)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		var u uint64
		u, err = strconv.ParseUint(n.Value, 10, 32)
		v = protoreflect.ValueOfUint32(uint32(u))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		var u uint64
		u, err = strconv.ParseUint(n.Value, 10, 64)
		v = protoreflect.ValueOfUint64(u)
	default:
		d.wrong(s, n, fmt.Sprintf("%s cannot be written in YAML", fieldName(s)), "remove it")
		return v, false
	}
	if err != nil {
		d.wrong(s, n, fmt.Sprintf("%s is out of the range of %s", n.Value, fieldName(s)), rangeRemedy(field.Kind()))
		return v, false
	}
	return v, true
}

// fraction reads a number that needn't be whole, in decimal digits: no exponent, infinity or NaN.
func (d *decoder) fraction(n *yaml.Node, s *spot) (v protoreflect.Value, ok bool) {
	whole, decimals, point := strings.Cut(strings.TrimPrefix(n.Value, "-"), ".")
	if n.Kind != yaml.ScalarNode || !plain(n) || !isDecimal(whole) || whole[0] == '-' || point && (decimals == "" || strings.Trim(decimals, "0123456789") != "") {
		d.wrong(s, n, fmt.Sprintf("%s takes a number, not %s", fieldName(s), shown(n)), "write decimal digits, such as 0.25, without quotes")
		return v, false
	}
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil {
		d.wrong(s, n, fmt.Sprintf("%s is out of the range of %s", n.Value, fieldName(s)), "write a smaller number")
		return v, false
	}
	return protoreflect.ValueOfFloat64(f), true
}

func rangeRemedy(kind protoreflect.Kind) string {
	switch kind {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "write 0 to 4294967295"
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "write 0 to 18446744073709551615"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "write -9223372036854775808 to 9223372036854775807"
	}
	return "write -2147483648 to 2147483647"
}

// enum reads the short, lower-case spelling of an enum's value.
func (d *decoder) enum(n *yaml.Node, enum protoreflect.EnumDescriptor, s *spot) (v protoreflect.Value, ok bool) {
	words := EnumWords(enum)
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!str" || plain(n)) {
		for _, w := range words {
			if w.Text == n.Value {
				return protoreflect.ValueOfEnum(w.Number), true
			}
		}
	}
	var texts []string
	for _, w := range words {
		texts = append(texts, w.Text)
	}
	d.wrong(s, n, fmt.Sprintf("%s cannot be %s", fieldName(s), shown(n)), remedyFor(n.Value, "write one of", texts))
	return v, false
}

// EnumWord is one value of an enum as it is written.
type EnumWord struct {
	Text   string
	Number protoreflect.EnumNumber
	Value  protoreflect.EnumValueDescriptor
}

// EnumWords are the values of an enum that can be written, in order: in lower
// case, without the enum's name before them and without the one that stands
// for an absent field.
func EnumWords(enum protoreflect.EnumDescriptor) []EnumWord {
	prefix := upperSnake(string(enum.Name())) + "_"
	var words []EnumWord
	for i := range enum.Values().Len() {
		value := enum.Values().Get(i)
		text := strings.TrimPrefix(string(value.Name()), prefix)
		if value.Number() == 0 && text == "UNSPECIFIED" {
			continue
		}
		words = append(words, EnumWord{strings.ToLower(text), value.Number(), value})
	}
	return words
}

func upperSnake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// shown is a node in a sentence: a scalar's text, else what it is.
func shown(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		return quote(n.Value)
	}
	return describe(n)
}
