package policyfile

import (
	"errors"
	"strings"

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

// Load reads a policy file and checks all there is to check about it alone.
// The error is of type [strictyaml.Mistakes]: those of the YAML, of what the
// document means and of its rules, in the order of the file.
func Load(file string, src []byte) (*Loaded, error) {
	doc := &policyv1.Policy{}
	source, mistakes := strictyaml.DecodeSome(file, src, doc)
	broken, bounded := damageOf(mistakes)
	if !bounded {
		return nil, mistakes
	}
	told := map[string]bool{}
	note := func(path []string, offset int, message, remedy string) {
		path = broken.shift(path)
		if id := strings.Join(path, "\x00") + "\x00" + message; !told[id] && !broken.explains(path, message) {
			told[id] = true
			mistakes = append(mistakes, source.MistakeWithin(path, offset, message, remedy))
		}
	}
	compile := func(doc *policyv1.Policy) *policy.Policy {
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
		return compiled
	}
	compiled := compile(doc)
	if other := broken.withStandIn(doc); other != nil {
		compile(other)
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
