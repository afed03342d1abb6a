package policyfile

import (
	"errors"
	"slices"

	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Loaded is a policy file that is valid in every way.
type Loaded struct {
	Doc    *policyv1.Policy
	Policy *policy.Policy
	Rules  *Rules
	Source *strictyaml.Source
}

// Parse reads a policy document without asking what it means. The error is of
// type [strictyaml.Mistakes].
func Parse(file string, src []byte) (*policyv1.Policy, *strictyaml.Source, error) {
	doc := &policyv1.Policy{}
	source, err := strictyaml.Decode(file, src, doc)
	if err != nil {
		return nil, nil, err
	}
	return doc, source, nil
}

// Load reads a policy file and checks all there is to check about it alone.
// The error is of type [strictyaml.Mistakes]: those of the YAML, of what the
// document means and of its rules, in the order of the file.
func Load(file string, src []byte) (*Loaded, error) {
	doc := &policyv1.Policy{}
	source, mistakes := strictyaml.DecodeSome(file, src, doc)
	later := laterStages(mistakes)
	if later == nil {
		return nil, mistakes
	}
	note := func(path []string, offset int, message, remedy string) {
		if later(path) {
			mistakes = append(mistakes, source.MistakeWithin(path, offset, message, remedy))
		}
	}
	compiled, err := policy.Compile(doc)
	var problems policy.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			note(p.Path, -1, p.Message, p.Remedy)
		}
	case err != nil:
		mistakes = append(mistakes, source.Mistake(nil, err.Error(), "correct the policy"))
	}
	rules, ruleProblems := CompileRules(doc)
	for _, p := range ruleProblems {
		note(p.Path, p.Offset, p.Message, p.Remedy)
	}
	if len(mistakes) > 0 {
		mistakes.Sort()
		return nil, mistakes
	}
	return &Loaded{Doc: doc, Policy: compiled, Rules: rules, Source: source}, nil
}

// laterStages says whose complaints are worth telling although the document
// could not be read whole: those about places that no mistake was found at, in or around. It
// returns nil when a mistake took away what the rest of the document refers
// to, so that complaints would follow from it and from nothing else.
func laterStages(mistakes strictyaml.Mistakes) func(path []string) bool {
	var broken [][]string
	for _, m := range mistakes {
		switch {
		case m.Extra:
			continue
		case len(m.Path) == 0, slices.Contains([]string{"environments", "tenants", "permissions", "scopes"}, m.Path[0]):
			return nil
		case len(m.Path) == 1 && (m.Path[0] == "key_types" || m.Path[0] == "endpoints"):
			return nil
		case m.Path[0] == "endpoints":
			broken = append(broken, []string{"tenants"}) // whose named_by refers to parameters of routes
		case len(m.Path) > 2 && m.Path[2] == "owner":
			broken = append(broken, m.Path[:2]) // a role and what is reached depend on it
		}
		broken = append(broken, m.Path)
	}
	return func(path []string) bool {
		return !slices.ContainsFunc(broken, func(b []string) bool {
			n := min(len(b), len(path))
			return slices.Equal(b[:n], path[:n])
		})
	}
}
