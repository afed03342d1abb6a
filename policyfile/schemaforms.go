package policyfile

import "google.golang.org/protobuf/reflect/protoreflect"

// form is what a field's text looks like, beyond what its type in the .proto says.
type form struct {
	pattern     string   // regular expression, for the whole text
	words       []string // or these words only
	least, most uint32   // or, for a number, its range
}

const (
	slugPattern     = `[a-z][a-z0-9_-]{0,62}`
	namePattern     = `[A-Za-z0-9._~-]{1,128}`
	scopePattern    = `[A-Za-z0-9._~:-]{1,128}`
	titlePattern    = `[!-~]([ -~]{0,126}[!-~])?`
	hostPattern     = `(\*\.)?[^A-Z\s/@,?#*]{1,253}`
	durationPattern = `([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?`
	formatPattern   = `[A-Za-z0-9_-]*(\{environment\})?[A-Za-z0-9_-]*\{secret:[0-9]+( (base62|urlsafe))?\}(\{checksum\})?`
	routePattern    = `(\*|[A-Z][A-Z-]{0,31}(,[A-Z][A-Z-]{0,31})*) (/|(/(\{[a-z_][a-z0-9_]*\}|\*|[^/\s{}*]+))+(/\*\*)?|/\*\*)`
)

// forms are the forms of the policy document's fields. Package policy checks
// them again, and more exactly, when the document is compiled.
var forms = func() map[protoreflect.FullName]form {
	const p = "latchkey.policy.v1."
	slug, name, scope, title := form{pattern: slugPattern}, form{pattern: namePattern}, form{pattern: scopePattern}, form{pattern: titlePattern}
	host, format := form{pattern: hostPattern}, form{pattern: formatPattern}
	return map[protoreflect.FullName]form{
		p + "Policy.name":            slug,
		p + "Policy.hosts":           host,
		p + "Policy.permissions":     scope,
		p + "Policy.credentials":     {pattern: `([A-Za-z0-9_-]{1,128}|[A-Za-z0-9_-]{1,128}: *[Bb][Ee][Aa][Rr][Ee][Rr])`},
		p + "Environment.name":       slug,
		p + "Environment.hosts":      host,
		p + "Environment.title":      title,
		p + "TenantKind.name":        slug,
		p + "TenantKind.parent":      slug,
		p + "TenantKind.plans":       name,
		p + "TenantKind.named_by":    {pattern: `(header|path|query) [A-Za-z0-9_-]{1,128}`},
		p + "Role.name":              name,
		p + "Role.scopes":            scope,
		p + "Role.permissions":       scope,
		p + "Scope.name":             scope,
		p + "Scope.requires":         scope,
		p + "Scope.implies":          scope,
		p + "KeyType.name":           slug,
		p + "KeyType.format":         format,
		p + "KeyType.former_formats": format,
		p + "KeyType.owner":          slug,
		p + "KeyType.scopes":         scope,
		p + "KeyType.grantable":      scope,
		p + "KeyType.only":           title,
		p + "KeyType.required":       {words: []string{"name", "description", "expires"}},
		p + "Reach.name":             slug,
		p + "Reach.roles":            name,
		p + "RoleGrant.default":      name,
		p + "ManagementRule.actions": {words: Actions},
		p + "Endpoint.name":          title,
		p + "Endpoint.scopes":        scope,
		p + "Endpoint.permissions":   scope,
		p + "Endpoint.routes":        {pattern: routePattern},
		p + "Reply.name":             {pattern: `[A-Za-z0-9_]+( *, *[A-Za-z0-9_]+)*`},
		p + "Reply.status":           {least: 400, most: 599},
	}
}()

// requiredFields are the fields without which a message cannot be compiled.
// What has any cannot be written as a mere name.
var requiredFields = map[protoreflect.FullName][]string{
	"latchkey.policy.v1.Policy":         {"name", "key_types", "endpoints"},
	"latchkey.policy.v1.KeyType":        {"format", "owner"},
	"latchkey.policy.v1.Endpoint":       {"routes"},
	"latchkey.policy.v1.ManagementRule": {"rule"},
}

// oneOfFields are the fields of which a message must have exactly one. What
// has any cannot be written as a mere name either.
var oneOfFields = map[protoreflect.FullName][]string{
	"latchkey.policy.v1.KeyType": {"scopes", "grantable", "role"},
	"latchkey.policy.v1.Reach":   {"roles", "children"},
}
