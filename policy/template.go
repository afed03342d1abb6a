package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// template is a parsed route: `METHOD[,METHOD] /path/{param}/*/**`.
type template struct {
	methods   []string
	anyMethod bool
	segments  []segment
}

// segment is one segment of a template.
type segment struct {
	literal string
	any     bool   // {param} or *
	param   string // name of {param}
	rest    bool   // **
}

// parseTemplate reads a route. The error says what is wrong and what to write.
func parseTemplate(text string) (template, error) {
	var t template
	methods, path, ok := strings.Cut(text, " ")
	if !ok || path == "" || strings.Contains(path, " ") {
		return t, fmt.Errorf("a route is `METHOD[,METHOD] /path`, with one space")
	}
	if err := t.parseMethods(methods); err != nil {
		return t, err
	}
	if path[0] != '/' {
		return t, fmt.Errorf("the path must begin with a slash")
	}
	if path == "/" {
		return t, nil
	}
	parts := strings.Split(path[1:], "/")
	if len(parts) > maxSegments {
		return t, fmt.Errorf("a path has at most %d segments", maxSegments)
	}
	for i, part := range parts {
		s, err := parseSegment(part, i == len(parts)-1)
		if err != nil {
			return t, err
		}
		if s.param != "" && slices.ContainsFunc(t.segments, func(o segment) bool { return o.param == s.param }) {
			return t, fmt.Errorf("the parameter {%s} stands in it twice: give each its own name", s.param)
		}
		t.segments = append(t.segments, s)
	}
	return t, nil
}

func (t *template) parseMethods(text string) error {
	if text == "*" {
		t.anyMethod = true
		return nil
	}
	for m := range strings.SplitSeq(text, ",") {
		switch {
		case m == "*":
			return fmt.Errorf("`*` stands alone: it means %s", strings.Join(anyMethods, ", "))
		case m == "CONNECT":
			return fmt.Errorf("CONNECT opens a tunnel and has no path: it can't be routed")
		case !validMethod(m):
			return fmt.Errorf("%q is not a method: methods are written in capitals, joined by commas without spaces", m)
		case slices.Contains(t.methods, m):
			return fmt.Errorf("the method %s stands in it twice", m)
		}
		t.methods = append(t.methods, m)
	}
	return nil
}

func validMethod(m string) bool {
	for i := range len(m) {
		if c := m[i]; (c < 'A' || c > 'Z') && (c != '-' || i == 0) {
			return false
		}
	}
	return m != "" && len(m) <= 32
}

func parseSegment(part string, last bool) (segment, error) {
	switch {
	case part == "":
		return segment{}, fmt.Errorf("a segment is never empty: take out the doubled or trailing slash")
	case part == "**":
		if !last {
			return segment{}, fmt.Errorf("`**` stands for the rest of the path and must be its last segment")
		}
		return segment{rest: true}, nil
	case part == "*":
		return segment{any: true}, nil
	case part == ".", part == "..":
		return segment{}, fmt.Errorf("a dot segment can never be matched")
	case part[0] == '{':
		name, ok := strings.CutSuffix(part[1:], "}")
		if !ok || !validParam(name) {
			return segment{}, fmt.Errorf("%q is not a parameter: write {name} with a-z, 0-9 and _, for a whole segment", part)
		}
		return segment{any: true, param: name}, nil
	}
	for _, c := range part {
		if c == '*' || c != '!' && (c >= utf8.RuneSelf || !pathByte(byte(c))) {
			return segment{}, fmt.Errorf("%q can't stand in a segment: a segment is literal text, {name}, * or **", string(c))
		}
	}
	return segment{literal: part}, nil
}

func validParam(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && c != '_' && (c < '0' || c > '9' || i == 0) {
			return false
		}
	}
	return name != "" && len(name) <= 64
}
