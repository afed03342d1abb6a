package policyfile

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/latchkey/latchkey/internal/strictyaml"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// damage is what mistakes of the YAML took away from a document: the places
// whose content was not read, or not whole.
type damage [][]string

// damageOf returns the damage that mistakes did to the document that was read
// in spite of them, or false where it is anywhere.
func damageOf(mistakes strictyaml.Mistakes) (damage, bool) {
	if len(mistakes) >= strictyaml.MaxMistakes {
		return nil, false // there are more, in places that are not told
	}
	var d damage
	for _, m := range mistakes {
		place := m.Path
		switch {
		case m.Extra:
			continue
		case strings.HasPrefix(m.Message, "unknown field "):
			if field := nearestField(m.Path, m.Text); field != "" {
				place = slices.Concat(m.Path, []string{field})
			}
		case len(m.Path) == 4 && m.Path[2] == "management":
			place = m.Path[:3] // the item may have been left out, so that indexes do not fit
		}
		if len(place) == 0 {
			return nil, false
		}
		d = append(d, place)
		if len(place) == 3 && place[0] == "key_types" && place[2] == "owner" {
			for _, field := range []string{"reaches", "role", "ceiling"} { // an owner says what these mean
				d = append(d, slices.Concat(place[:2], []string{field}))
			}
		}
	}
	return d, true
}

// withStandIn returns the document with an environment in place of those that
// were lost, so that formats can be read, or nil where there is one or none is
// missing.
func (d damage) withStandIn(doc *policyv1.Policy) *policyv1.Policy {
	if !slices.ContainsFunc(d, names("environments")) || len(doc.GetEnvironments()) > 0 {
		return nil
	}
	doc = proto.CloneOf(doc)
	doc.Environments = []*policyv1.Environment{{Name: "environment"}}
	return doc
}

// explains reports whether a complaint can follow from the damage.
func (d damage) explains(path []string, message string) bool {
	for _, place := range d {
		n := min(len(place), len(path))
		switch {
		case !slices.Equal(place[:n], path[:n]):
		case n < len(place):
			if mayMiss(message, place[n]) {
				return true
			}
		case !isItem(place): // those of a list moved up: see shift
			return true
		}
	}
	for _, f := range followUps {
		if strings.HasPrefix(message, f.begin) && strings.Contains(message, f.part) && slices.ContainsFunc(d, f.from) {
			return true
		}
	}
	return false
}

// shift returns the path in the file of what stands at a path of the document:
// items of a list that could not be read were left out of it.
func (d damage) shift(path []string) []string {
	last := len(path) - 1
	if last < 0 || !isItem(path) {
		return path
	}
	index, _ := strconv.Atoi(path[last])
	var lost []int
	for _, place := range d {
		if len(place) > last && slices.Equal(place[:last], path[:last]) {
			if i, err := strconv.Atoi(place[last]); err == nil && !slices.Contains(lost, i) {
				lost = append(lost, i)
			}
		}
	}
	slices.Sort(lost)
	for _, i := range lost {
		if i <= index {
			index++
		}
	}
	return slices.Concat(path[:last], []string{strconv.Itoa(index)})
}

// missed are the complaints about a message that are not that a field of it is
// missing, or only that one of these is. Of others nothing is known.
var missed = []struct {
	part   string // of the message
	fields []string
}{
	{"can't name a", nil},
	{"stands here twice", nil},
	{"is not declared", nil},
	{"are not children", nil},
	{"no roles to carry", nil},
	{"is no reason, no status", nil},
	{"is given twice", nil},
	{"belong to nobody", []string{"owner"}},
	{"in exactly one way", []string{"scopes", "grantable", "role"}},
	{"it asks for no scope", []string{"scopes", "public"}},
	{"it has no routes", []string{"routes"}},
}

// mayMiss reports whether a complaint about what holds a broken field can
// follow from that.
func mayMiss(message, field string) bool {
	for _, m := range missed {
		if strings.Contains(message, m.part) {
			return slices.Contains(m.fields, field)
		}
	}
	return true
}

// followUps are complaints about one place that damage in another explains.
var followUps = []struct {
	begin, part string // of the message
	from        func(place []string) bool
}{
	{`permission "`, "is not declared", names("permissions")},
	{`scope "`, "is not declared", names("scopes")},
	{"all of no scopes", "", names("scopes")},
	{`tenant kind "`, "is not declared", names("tenants")},
	{`role "`, "is not declared", ofTenants("roles")},
	{"keys of this type have no roles", "", ofTenants("roles")},
	{"tenants of the kind ", "are not children", ofTenants("parent")},
	{`endpoint "`, "is not declared", names("endpoints")},
	{"no route has a parameter", "", func(p []string) bool { return p[0] == "endpoints" && (len(p) < 3 || p[2] == "routes") }},
	{"format ", "the policy has no environments", names("environments")},
	{"format ", "it lacks {environment}", names("environments")},
	{"the policy claims no host", "", func(p []string) bool { return p[0] == "environments" }},
	{"the header ", "holds keys", func(p []string) bool { return p[0] == "credentials" }},
	{"the reply to ", "", func(p []string) bool { return p[0] == "replies" }}, // one reply completes another
	{"", "can't be answered with", func(p []string) bool { return p[0] == "replies" }},
}

// names tells places whose damage may have taken names out of a section. A
// name whose own content is damaged is still there.
func names(section string) func([]string) bool {
	return func(p []string) bool { return p[0] == section && (len(p) == 1 || len(p) == 2 && isIndex(p[1])) }
}

// ofTenants tells places whose damage may have taken a field, or names in it,
// from a tenant kind.
func ofTenants(field string) func([]string) bool {
	return func(p []string) bool {
		return p[0] == "tenants" && (len(p) < 3 || p[2] == field && (len(p) == 3 || len(p) == 4 && isIndex(p[3])))
	}
}

func isIndex(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

// container returns the type of the message at a path, and whether the path
// leads to an item of a list of plain values; nil where there is no message.
func container(path []string) (m protoreflect.MessageDescriptor, item bool) {
	m = (&policyv1.Policy{}).ProtoReflect().Descriptor()
	for i := 0; i < len(path); i++ {
		field := m.Fields().ByName(protoreflect.Name(path[i]))
		if field == nil || field.Message() == nil || field.IsMap() {
			return nil, field != nil && field.IsList() && i == len(path)-2
		}
		m = field.Message()
		if field.IsList() {
			i++ // its name or index
		}
	}
	return m, false
}

func isItem(path []string) bool {
	_, item := container(path)
	return item && isIndex(path[len(path)-1])
}

// nearestField is the field that a misspelt one in the message at a path
// stands for, or empty.
func nearestField(path []string, text string) string {
	m, _ := container(path)
	if m == nil {
		return ""
	}
	var fields []string
	for i := range m.Fields().Len() {
		if name := string(m.Fields().Get(i).Name()); name != "name" || len(path) == 0 {
			fields = append(fields, name)
		}
	}
	return strictyaml.Nearest(text, fields)
}
