package policy

import (
	"slices"
	"strings"
)

// Probe is a request that stands for all requests that fit a template and
// nothing that is more specific.
type Probe struct {
	Method string
	Path   string // that can be matched
	Text   string // template of the path, as a route has it
	Whole  bool   // it is the template of a route, and not a part of one
}

// Probes returns requests that between them meet every route of the policies,
// and every path that two of their routes fit: where the policies answer all of
// them alike they answer every request alike. They are in order of template.
func Probes(policies ...*Policy) []Probe {
	var routes []template
	texts, literals := map[string]string{}, map[string]bool{}
	methods := map[string]bool{"GET": true, "HEAD": true} // which goes with it
	deep := 1
	for _, p := range policies {
		p.routes.each(func(r *Route) {
			t, err := parseTemplate(r.Text)
			if err != nil {
				return // it was compiled, so that it can be parsed
			}
			for _, m := range t.methods {
				methods[m] = true
			}
			if t.anyMethod {
				for _, m := range anyMethods {
					methods[m] = true
				}
			}
			for _, s := range t.segments {
				literals[s.literal] = true
			}
			deep = max(deep, len(t.segments)+1)
			if id := t.shape(); texts[id] == "" {
				_, texts[id], _ = strings.Cut(r.Text, " ")
				routes = append(routes, t)
			}
		})
	}
	shapes := map[string]Probe{}
	filler := "x" // what no route says
	for literals[filler] {
		filler += "x"
	}
	// What only `**` fits is longer than all other routes.
	rest := strings.Repeat(filler+"/", min(deep, maxSegments)-1) + filler
	for _, t := range routes {
		shapes[t.shape()] = Probe{Path: t.path(filler, rest), Text: texts[t.shape()], Whole: true}
	}
	// What `**` stands for may be as short as what some other route fits.
	for _, t := range slices.Clone(routes) {
		if fixed := len(t.segments) - 1; fixed >= 0 && t.segments[fixed].rest {
			short := template{segments: slices.Clone(t.segments[:fixed])}
			for len(short.segments) < min(deep, maxSegments)-1 {
				short.segments = append(slices.Clone(short.segments), segment{any: true})
				if id := short.shape(); shapes[id].Path == "" {
					shapes[id] = Probe{Path: short.path(filler, rest), Text: id}
					routes = append(routes, short)
				}
			}
		}
	}
	for i, a := range routes {
		for _, b := range routes[:i] {
			if both, ok := overlap(a, b); ok {
				if id := both.shape(); shapes[id].Path == "" {
					shapes[id] = Probe{Path: both.path(filler, rest), Text: id}
				}
			}
		}
	}
	var probes []Probe
	for _, p := range shapes {
		for m := range methods {
			p.Method = m
			probes = append(probes, p)
		}
	}
	slices.SortFunc(probes, func(a, b Probe) int {
		return strings.Compare(a.Text+" "+a.Method, b.Text+" "+b.Method)
	})
	return probes
}

// MethodsText is methods as a route has them, `*` for those that it stands for.
func MethodsText(methods []string) string {
	all := !slices.ContainsFunc(anyMethods, func(m string) bool { return !slices.Contains(methods, m) })
	list := slices.DeleteFunc(slices.Clone(methods), func(m string) bool {
		return all && slices.Contains(anyMethods, m) || m == "HEAD" && slices.Contains(methods, "GET")
	})
	if all {
		list = append([]string{"*"}, list...)
	}
	return strings.Join(list, ",")
}

// each calls f with each route of the tree, and with one of several methods once for each of them.
func (n *node) each(f func(*Route)) {
	for _, l := range []leaf{n.end, n.rest} {
		for _, r := range l.named {
			f(r)
		}
		if l.any != nil {
			f(l.any)
		}
	}
	for _, next := range n.literals {
		next.each(f)
	}
	if n.param != nil {
		n.param.each(f)
	}
}

// shape is a template's path without the names of its parameters.
func (t template) shape() string { return t.path("*", "**") }

// path is a template with texts for a segment and for segments that are free.
func (t template) path(free, rest string) string {
	if len(t.segments) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, s := range t.segments {
		b.WriteByte('/')
		switch {
		case s.rest:
			b.WriteString(rest)
		case s.any:
			b.WriteString(free)
		default:
			b.WriteString(s.literal)
		}
	}
	return b.String()
}

// overlap returns the template of the paths that fit both, if any do.
func overlap(a, b template) (template, bool) {
	var both template
	for i := 0; ; i++ {
		switch {
		case i == len(a.segments) && i == len(b.segments):
			return both, true
		case i == len(a.segments) || i == len(b.segments):
			return template{}, false
		}
		x, y := a.segments[i], b.segments[i]
		switch {
		case x.rest:
			both.segments = append(both.segments, b.segments[i:]...)
			return both, true
		case y.rest:
			both.segments = append(both.segments, a.segments[i:]...)
			return both, true
		case x.any:
			both.segments = append(both.segments, y)
		case y.any || x.literal == y.literal:
			both.segments = append(both.segments, x)
		default:
			return template{}, false
		}
	}
}
