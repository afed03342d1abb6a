package policyfile

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"

	"github.com/latchkey/latchkey/internal/strictyaml"
)

// Limits of a rule.
const (
	maxRuleLength = 4096   // characters of the expression
	maxRuleCost   = 10_000 // CEL cost units of one evaluation
)

// Rule is a compiled management rule. It never changes and is safe for
// concurrent use.
type Rule struct {
	text    string
	program cel.Program
}

// RuleError says why an expression is no rule.
type RuleError struct {
	// Offset is where in the expression, in characters.
	Offset          int
	Message, Remedy string
}

// Error is the message and the remedy.
func (e *RuleError) Error() string { return e.Message + ": " + e.Remedy }

// functions are what a rule may call: comparisons, logic and tests of text
// and lists. There is nothing that loops, makes values or forgets a type.
var functions = []string{
	"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "_?_:_", "@in", "@not_strictly_false",
	"_+_", "_[_]", "size", "startsWith", "endsWith", "contains", "matches",
}

var ruleEnv = sync.OnceValues(func() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	subset := &env.LibrarySubset{IncludeMacros: []string{"has"}}
	for _, name := range functions {
		subset.IncludeFunctions = append(subset.IncludeFunctions, env.NewFunction(name))
	}
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(provider{registry}),
		cel.ParserExpressionSizeLimit(maxRuleLength),
		cel.ParserRecursionLimit(50),
		cel.Variable("action", cel.StringType),
	}
	for name := range objects {
		options = append(options, cel.Variable(name, cel.ObjectType(typePrefix+name)))
	}
	return cel.NewCustomEnv(options...)
})

// CompileRule compiles an expression over `action`, `caller`, `tenant` and
// `key` that is true or false. The error is a *[RuleError].
func CompileRule(expr string) (*Rule, error) {
	environment, err := ruleEnv()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	if strings.TrimSpace(expr) == "" {
		return nil, &RuleError{0, "the rule is empty", "write a CEL expression, such as caller.id == key.principal"}
	}
	ast, issues := environment.Compile(expr)
	if issues.Err() != nil {
		return nil, explainRule(expr, issues)
	}
	if ast.OutputType() != cel.BoolType {
		return nil, &RuleError{0, fmt.Sprintf("the rule is of the type %s", ast.OutputType()), "write an expression that is true or false"}
	}
	program, err := environment.Program(ast, cel.CostLimit(maxRuleCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, &RuleError{0, fmt.Sprintf("the rule cannot be prepared: %v", err), "correct the expression"}
	}
	return &Rule{text: expr, program: program}, nil
}

// String is the expression.
func (r *Rule) String() string { return r.text }

// Allows asks the rule. An error refuses too, and says why: the rule read an
// attribute that is absent, or could not be evaluated.
func (r *Rule) Allows(in RuleInput) (bool, error) {
	input := &asked{RuleInput: in}
	variables := map[string]any{"action": in.Action}
	for name := range objects {
		variables[name] = &object{input, name}
	}
	result, _, err := r.program.Eval(variables)
	switch {
	case len(input.missed) > 0:
		return false, fmt.Errorf("the rule cannot be answered: %s", input.missed[0])
	case err != nil:
		return false, fmt.Errorf("the rule cannot be answered: %w", err)
	}
	return result == types.True, nil
}

var (
	undefinedField = regexp.MustCompile(`^undefined field '(.*)'$`)
	undeclaredName = regexp.MustCompile(`^undeclared reference to '(.*?)'`)
	noOverload     = regexp.MustCompile(`^found no matching overload for '(.*?)' applied to '(.*)'$`)
	expecting      = regexp.MustCompile(` (expecting|at input) .*$`)
)

// explainRule turns the first complaint of CEL into ours.
func explainRule(expr string, issues *cel.Issues) *RuleError {
	if len(issues.Errors()) == 0 {
		return &RuleError{0, issues.Err().Error(), "correct the expression"}
	}
	first := issues.Errors()[0]
	message := strings.TrimSuffix(first.Message, " (in container '')")
	e := &RuleError{offsetOf(expr, first), expecting.ReplaceAllString(message, ""), "correct the expression"}
	if m := undefinedField.FindStringSubmatch(message); m != nil {
		e.undefined(expr, m[1])
	}
	if m := undeclaredName.FindStringSubmatch(message); m != nil {
		known := append(slices.Sorted(maps.Keys(objects)), "action", "has", "size", "startsWith", "endsWith", "contains", "matches")
		e.Message, e.Remedy = fmt.Sprintf("a rule knows no %q", m[1]), suggest(m[1], "it is made of", known)
	}
	if m := noOverload.FindStringSubmatch(message); m != nil {
		e.Message, e.Remedy = fmt.Sprintf("%s cannot be used with %s", strings.Trim(m[1], "_@"), m[2]), "compare values of one type"
	}
	return e
}

// undefined explains an attribute that an object does not have, and points at
// its name: CEL points at the dot before it, or at the bracket of has().
func (e *RuleError) undefined(expr, field string) {
	use := regexp.MustCompile(`\b([a-z]+)\s*\.\s*(` + regexp.QuoteMeta(field) + `)\b`)
	for _, at := range use.FindAllStringSubmatchIndex(expr, -1) {
		name, start := expr[at[2]:at[3]], utf8.RuneCountInString(expr[:at[4]])
		if attributes := objects[name]; attributes != nil && !slices.Contains(namesOf(attributes), field) && start > e.Offset {
			e.Offset = start
			e.Message = fmt.Sprintf("%s has no attribute %q", name, field)
			e.Remedy = suggest(field, "its attributes are", namesOf(attributes))
			return
		}
	}
}

// offsetOf is the place of CEL's complaint in the expression, in characters.
func offsetOf(expr string, err *cel.Error) int {
	if err.Location == nil || err.Location.Line() < 1 {
		return 0
	}
	offset := max(err.Location.Column(), 0)
	lines := strings.SplitAfter(expr, "\n")
	for _, line := range lines[:min(err.Location.Line()-1, len(lines))] {
		offset += utf8.RuneCountInString(line)
	}
	return offset
}

// suggest names the nearest of the words, and all of them.
func suggest(word, before string, words []string) string {
	all := before + " " + strings.Join(words, ", ")
	if near := strictyaml.Nearest(word, words); near != "" {
		return fmt.Sprintf("did you mean %q? %s", near, all)
	}
	return all
}
