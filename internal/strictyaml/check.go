package strictyaml

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// check reports what is refused wherever it stands: nesting without end,
// anchors, aliases, tags, keys that are no text and keys that stand twice.
func (d *decoder) check(n *yaml.Node, s *spot, depth int) {
	switch {
	case depth > MaxDepth:
		d.wrong(s, n, fmt.Sprintf("nested deeper than %d levels", MaxDepth), "nest it less")
		return
	case n.Kind == yaml.AliasNode:
		d.wrong(s, n, fmt.Sprintf("alias *%s", n.Value), "aliases are not read; write the value out")
		return
	case n.Anchor != "":
		d.wrong(s, n, fmt.Sprintf("anchor &%s", n.Anchor), "anchors are not read; remove it and write each value out")
	case n.Style&yaml.TaggedStyle != 0:
		d.wrong(s, n, fmt.Sprintf("tag %s", n.Tag), "tags are not read; remove it, and quote what is text")
	}
	if n.Kind != yaml.MappingNode {
		for i, item := range n.Content {
			d.check(item, &spot{parent: s, name: strconv.Itoa(i), item: true}, depth+1)
		}
		return
	}
	seen := map[string]*yaml.Node{}
	for key, value := range pairs(n) {
		d.check(key, s, depth+1)
		d.check(value, &spot{parent: s, name: key.Value}, depth+1)
		if d.bad[key] || !d.isKey(key, s) {
			continue
		}
		if first := seen[key.Value]; first != nil {
			d.extra(s, key, fmt.Sprintf("%q stands twice, first in line %d", key.Value, first.Line), "remove one of them")
			continue
		}
		seen[key.Value] = key
	}
}

// isKey reports whether a node can be the key of a mapping: text, or a decimal
// number, which is read as text.
func (d *decoder) isKey(key *yaml.Node, s *spot) bool {
	switch {
	case key.Kind != yaml.ScalarNode:
		d.wrong(s, key, fmt.Sprintf("the key of a mapping is %s", describe(key)), "write text")
	case key.Tag == "!!merge":
		d.wrong(s, key, "merge key <<", "merge keys are not read; write the members out")
	case key.Value == "":
		d.wrong(s, key, "a key is empty", "name it")
	case key.Tag == "!!int" && isDecimal(key.Value):
	default:
		return d.isText(key, s, "a key")
	}
	return !d.bad[key]
}

// isText reports whether a scalar is text to every reader of YAML.
func (d *decoder) isText(n *yaml.Node, s *spot, what string) bool {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.wrong(s, n, fmt.Sprintf("%s takes a string, not %s", what, describe(n)), otherwise(n, `""`, "write one string"))
	case n.Tag == "!!null" && n.Value == "":
		d.wrong(s, n, fmt.Sprintf("%s has no value", what), `give it one, or write "" for an empty string`)
	case n.Tag != "!!str", plain(n) && isOldBool(n.Value):
		d.wrong(s, n, fmt.Sprintf("%s takes a string, and %s is %s in YAML", what, n.Value, describe(n)), "quote it: "+quote(n.Value))
	}
	return !d.bad[n]
}

// describe says what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch {
	case n.Tag == "!!null" && n.Value == "":
		return "nothing"
	case n.Tag == "!!null":
		return "null"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "a number"
	case n.Tag == "!!bool", plain(n) && isOldBool(n.Value):
		return "true or false"
	case n.Tag == "!!timestamp":
		return "a time"
	}
	return "a string"
}

// otherwise is the remedy for a value of the wrong shape.
func otherwise(n *yaml.Node, empty, remedy string) string {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return "leave the field out, or write " + empty
	}
	return remedy
}

func plain(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// isOldBool reports whether readers of YAML 1.1 take a plain word for a boolean.
func isOldBool(s string) bool {
	switch s {
	case "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF":
		return true
	}
	return false
}

// isDecimal reports whether s is a whole number that is spelt in one way only.
func isDecimal(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] == '0' && s != "0" {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// quote is s as a double-quoted YAML string.
func quote(s string) string { return strconv.Quote(firstLine(s)) }
