package policyfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Rules are the management rules of a policy. They never change and are safe
// for concurrent use.
type Rules struct{ byType map[string][]TypeRule }

// TypeRule is one condition on actions on the keys of a type.
type TypeRule struct {
	Actions []string // empty: all
	Rule    *Rule
	Message string // what a refused caller is told; may be empty
}

// Refusal is the error of an action that a rule does not permit.
type Refusal struct {
	// Rule is the expression that said no; empty for a type that the policy does not have.
	Rule string
	// Message is what the policy tells the caller, or a sentence of ours.
	Message string
	// Cause is why the rule could not be answered; nil where it said no.
	Cause error
}

// Error is the message for the caller. What the rule says, and why it could
// not be answered, is not for everybody's eyes.
func (r *Refusal) Error() string { return r.Message }

// Unwrap is the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// RuleProblem is what is wrong with a rule of a document.
type RuleProblem struct {
	policy.Problem
	Offset int // characters from the start of the expression
}

// CompileRules compiles the management rules of a document. It returns what
// is wrong with them; the rules are whole when that is empty.
func CompileRules(doc *policyv1.Policy) (*Rules, []RuleProblem) {
	rules := &Rules{byType: map[string][]TypeRule{}}
	var problems []RuleProblem
	for _, t := range doc.GetKeyTypes() {
		rules.byType[t.GetName()] = nil
		for i, m := range t.GetManagement() {
			path := []string{"key_types", t.GetName(), "management", strconv.Itoa(i)}
			for j, action := range m.GetActions() {
				if !slices.Contains(Actions, action) {
					problems = append(problems, RuleProblem{policy.Problem{
						Path:    slices.Concat(path, []string{"actions", strconv.Itoa(j)}),
						Message: fmt.Sprintf("there is no action %q", action), Remedy: suggest(action, "the actions are", Actions),
					}, 0})
				}
			}
			rule, err := CompileRule(m.GetRule())
			if err != nil {
				problem := RuleProblem{policy.Problem{Path: slices.Concat(path, []string{"rule"}), Message: err.Error()}, 0}
				if e := (*RuleError)(nil); errors.As(err, &e) {
					problem.Message, problem.Remedy, problem.Offset = e.Message, e.Remedy, e.Offset
				}
				problems = append(problems, problem)
				continue
			}
			rules.byType[t.GetName()] = append(rules.byType[t.GetName()], TypeRule{m.GetActions(), rule, m.GetMessage()})
		}
	}
	return rules, problems
}

// Of returns the rules for keys of a type, in the document's order.
func (r *Rules) Of(keyType string) []TypeRule { return r.byType[keyType] }

// Ask reports whether a rule of a key type names the action.
func (r *Rules) Ask(keyType, action string) bool {
	return slices.ContainsFunc(r.byType[keyType], func(t TypeRule) bool { return t.names(action) })
}

// names reports whether an action is asked of the rule.
func (t TypeRule) names(action string) bool {
	return len(t.Actions) == 0 || slices.Contains(t.Actions, action)
}

// Permits asks every rule of a key type that names the action of in, and
// returns nil when all say yes. The error is a *[Refusal]: of the first rule
// that says no or cannot be answered.
func (r *Rules) Permits(keyType string, in RuleInput) error {
	rules, known := r.byType[keyType]
	if !known || !slices.Contains(Actions, in.Action) {
		return &Refusal{Message: fmt.Sprintf("nobody may %s keys of the type %q", in.Action, keyType)}
	}
	for _, t := range rules {
		if !t.names(in.Action) {
			continue
		}
		ok, err := t.Rule.Allows(in)
		if ok && err == nil {
			continue
		}
		message := t.Message
		if message == "" {
			message = fmt.Sprintf("the policy does not permit you to %s this key", in.Action)
		}
		return &Refusal{Rule: t.Rule.String(), Message: message, Cause: err}
	}
	return nil
}
