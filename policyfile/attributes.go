package policyfile

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// RuleInput is what a management rule is asked about. An empty string is an
// attribute that is absent: reading it refuses, `has(…)` tells.
type RuleInput struct {
	// Action is one of [Actions].
	Action string
	Caller Caller
	Tenant Tenant
	Key    Key
}

// Caller is the principal that acts.
type Caller struct {
	// ID is its name, such as `user:ada`; empty for the operator, of whom
	// every attribute is absent.
	ID string
	// Role is its role in the key's tenant now.
	Role string
	// Permissions are those that it has in the key's tenant now.
	Permissions []string
}

// Tenant is the tenant that owns the key. All is absent for a key of a principal.
type Tenant struct {
	ID     string // such as `team:t_1`
	Kind   string
	Plan   string
	Status string // `active` or `suspended`
	Parent string // such as `organisation:o_1`
}

// Key is the key that is acted on; when keys are created, the one that would be made.
type Key struct {
	ID          string
	Policy      string
	Type        string
	Environment string
	Tenant      string // such as `team:t_1`
	Principal   string // owner, such as `user:ada`
	Creator     string
	Role        string
	Scopes      []string
	Name        string
	System      bool
}

// Actions are the actions on keys that rules are asked about.
var Actions = []string{"create", "list", "show", "update", "rotate", "revoke", "disable", "enable", "reveal"}

// asked is one evaluation: its input, and the attributes that it read
// although they are absent. CEL lets `||` and `&&` swallow an error when the
// other side decides, and a rule that misses an attribute must refuse all the same.
type asked struct {
	RuleInput
	missed []string
}

// object is `caller`, `tenant` or `key` within one evaluation.
type object struct {
	in   *asked
	name string
}

// attribute is one field of an object: its type in CEL and its value, nil when absent.
type attribute struct {
	name  string
	kind  *cel.Type
	value func(in *asked) any
}

func text(name string, value func(in *asked) string) attribute {
	return attribute{name, cel.StringType, func(in *asked) any {
		if s := value(in); s != "" {
			return s
		}
		return nil
	}}
}

func list(name string, value func(in *asked) []string) attribute {
	return attribute{name, cel.ListType(cel.StringType), func(in *asked) any { return slices.Concat([]string{}, value(in)) }}
}

// ofCaller keeps an attribute from those who have no name.
func ofCaller(a attribute) attribute {
	value := a.value
	a.value = func(in *asked) any {
		if in.Caller.ID == "" {
			return nil
		}
		return value(in)
	}
	return a
}

// objects are the variables of a rule beside `action`, with their attributes.
var objects = map[string][]attribute{
	"caller": {
		text("id", func(in *asked) string { return in.Caller.ID }),
		ofCaller(text("role", func(in *asked) string { return in.Caller.Role })),
		ofCaller(list("permissions", func(in *asked) []string { return in.Caller.Permissions })),
	},
	"tenant": {
		text("id", func(in *asked) string { return in.Tenant.ID }),
		text("kind", func(in *asked) string { return in.Tenant.Kind }),
		text("plan", func(in *asked) string { return in.Tenant.Plan }),
		text("status", func(in *asked) string { return in.Tenant.Status }),
		text("parent", func(in *asked) string { return in.Tenant.Parent }),
	},
	"key": {
		text("id", func(in *asked) string { return in.Key.ID }),
		text("policy", func(in *asked) string { return in.Key.Policy }),
		text("type", func(in *asked) string { return in.Key.Type }),
		text("environment", func(in *asked) string { return in.Key.Environment }),
		text("tenant", func(in *asked) string { return in.Key.Tenant }),
		text("principal", func(in *asked) string { return in.Key.Principal }),
		text("creator", func(in *asked) string { return in.Key.Creator }),
		text("role", func(in *asked) string { return in.Key.Role }),
		list("scopes", func(in *asked) []string { return in.Key.Scopes }),
		text("name", func(in *asked) string { return in.Key.Name }),
		{"system", cel.BoolType, func(in *asked) any { return in.Key.System }},
	},
}

// typePrefix stands before an object's name in the name of its CEL type.
const typePrefix = "latchkey."

// provider tells CEL the attributes of the objects, so that a misspelt one is
// found when the policy is loaded.
type provider struct{ types.Provider }

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if attributesOf(name) == nil {
		return p.Provider.FindStructType(name)
	}
	return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	attributes := attributesOf(name)
	if attributes == nil {
		return p.Provider.FindStructFieldNames(name)
	}
	return namesOf(attributes), true
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	attributes := attributesOf(name)
	i := slices.IndexFunc(attributes, func(a attribute) bool { return a.name == field })
	if i < 0 {
		return nil, false
	}
	return &types.FieldType{
		Type: attributes[i].kind,
		IsSet: func(target any) bool {
			o, ok := target.(*object)
			return ok && attributes[i].value(o.in) != nil
		},
		GetFrom: func(target any) (any, error) {
			o, ok := target.(*object)
			if !ok {
				return nil, fmt.Errorf("%T has no %s", target, field)
			}
			v := attributes[i].value(o.in)
			if v == nil {
				o.in.missed = append(o.in.missed, fmt.Sprintf("%s has no %s", o.name, field))
				return nil, fmt.Errorf("%s has no %s", o.name, field)
			}
			return v, nil
		},
	}, true
}

func (p provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("a rule cannot make a %s", name)
}

func attributesOf(typeName string) []attribute {
	if len(typeName) <= len(typePrefix) || typeName[:len(typePrefix)] != typePrefix {
		return nil
	}
	return objects[typeName[len(typePrefix):]]
}

func namesOf(attributes []attribute) []string {
	var names []string
	for _, a := range attributes {
		names = append(names, a.name)
	}
	return names
}
