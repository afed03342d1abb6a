package lint

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey/latchkey/internal/strictyaml"
)

// node is a value of the document and the path to it. The zero node is a value that isn't there; every method works on it.
type node struct {
	*strictyaml.Tree
	path string
}

// ok reports whether the value is there, and more than null.
func (n node) ok() bool { return n.Tree != nil && n.Kind != strictyaml.Null }

// get returns the field that the names lead to, each in snake_case.
func (n node) get(names ...string) node {
	for _, name := range names {
		found := node{}
		for _, spelling := range []string{name, camel(name)} {
			if t := n.Member(spelling); t != nil {
				found = node{t, join(n.path, spelling)}
				break
			}
		}
		n = found
	}
	return n
}

// items returns those of a list.
func (n node) items() []node {
	if !n.ok() || n.Kind != strictyaml.List {
		return nil
	}
	items := make([]node, len(n.Values))
	for i, t := range n.Values {
		items[i] = node{t, n.path + "[" + strconv.Itoa(i) + "]"}
	}
	return items
}

// members returns the names and values of a mapping.
func (n node) members() func(func(string, node) bool) {
	return func(yield func(string, node) bool) {
		if !n.ok() || n.Kind != strictyaml.Mapping {
			return
		}
		for i, t := range n.Values {
			if !yield(n.Names[i], node{t, join(n.path, n.Names[i])}) {
				return
			}
		}
	}
}

// text is that of a scalar, else empty.
func (n node) text() string {
	if !n.ok() || n.Kind != strictyaml.Scalar {
		return ""
	}
	return n.Text
}

// isTrue reports whether Envoy takes the value for true.
func (n node) isTrue() bool {
	switch strings.ToLower(n.text()) {
	case "true", "yes", "on", "y":
		return true
	}
	return false
}

// number is the value as a number; false where it is none.
func (n node) number() (float64, bool) {
	f, err := strconv.ParseFloat(n.text(), 64)
	return f, err == nil
}

// duration is the value as protobuf writes a time: 0.2s.
func (n node) duration() (time.Duration, bool) {
	f, err := strconv.ParseFloat(strings.TrimSuffix(n.text(), "s"), 64)
	return time.Duration(f * float64(time.Second)), err == nil && strings.HasSuffix(n.text(), "s")
}

// typed returns the name of a message in an Any, and the message.
func (n node) typed() (name string, message node) {
	name = afterSlash(node{Tree: n.Member("@type")}.text())
	if strings.HasSuffix(name, ".TypedStruct") {
		return afterSlash(n.get("type_url").text()), n.get("value")
	}
	return name, n
}

func afterSlash(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

// is reports whether the node is an Any of a message of this name, its package left out.
func (n node) is(message string) bool {
	name, _ := n.typed()
	return name[strings.LastIndexByte(name, '.')+1:] == message
}

func join(path, name string) string {
	if strings.ContainsAny(name, ".[]") {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// within visits a value and all that stands in it, each with the name of the field that holds it, or the list that it is in, in
// snake_case. Where visit returns false it goes no deeper.
func (n node) within(visit func(field string, n node) bool) { n.visit("", visit) }

func (n node) visit(field string, visit func(string, node) bool) {
	if !n.ok() || !visit(field, n) {
		return
	}
	for _, item := range n.items() {
		item.visit(field, visit)
	}
	for name, value := range n.members() {
		value.visit(snake(name), visit)
	}
}

// oneOf reports whether the text of a value is one of these.
func oneOf(n node, texts ...string) bool { return slices.Contains(texts, n.text()) }

// snake is a field's name as it stands in a .proto file.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// camel is a field's name as protobuf writes it in JSON.
func camel(snake string) string {
	if !strings.Contains(snake, "_") {
		return snake
	}
	parts := strings.Split(snake, "_")
	for i, p := range parts {
		if i > 0 && p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}
