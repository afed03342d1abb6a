package policy_test

import "strings"

// typed is a document with a key type of these fields, beside a name and a format.
func typed(fields string) string {
	return named + hasOrg + hasScopes + hasRoute + `key_types { name: "k" format: "sk_{secret:32}" ` + fields + ` }`
}

const projects = `tenants { name: "project" parent: "org" roles { name: "admin" scopes: "all" } }
	tenants { name: "team" roles { name: "owner" } roles { name: "member" } }`

const badStaleness = "key_types/k/max_staleness | how long a replica may answer without news can't be zero, negative or beyond 3650 days" +
	" | write a duration such as 30s, 5m or 1d, or leave it out for no limit of its own"

var typeMistakes = []mistake{
	{"none", named + hasOrg + hasScopes + hasRoute, []string{
		"key_types | the policy has no keys | declare at least one key type",
	}},
	{"a name in capitals", minimal + `key_types { name: "Secret" format: "x_{secret:32}" owner: "org" scopes: "read" }`, []string{
		`key_types/Secret | "Secret" can't name a key type | ` + writeSlug,
	}},
	{"twice", minimal + hasType, []string{
		`key_types/secret | the key type "secret" stands here twice | take one out`,
		`key_types/secret/format | one token could be of the type "secret" (sk_…) and of the type "secret" (sk_…) | give them prefixes or lengths that differ`,
	}},
	{"a field that can't be required", typed(`owner: "org" scopes: "read" required: ["name", "names", "scopes"]`), []string{
		`key_types/k/required/1 | field "names" is not declared | did you mean "name"?`,
		`key_types/k/required/2 | field "scopes" is not declared | declare it, or use one of name, description, expires`,
	}},
	{"a field required twice", typed(`owner: "org" scopes: "read" required: ["expires", "expires", "description"]`), []string{
		`key_types/k/required/1 | field "expires" stands here twice | take one out`,
	}},
	{"a negative life", typed(`owner: "org" scopes: "read" longest_life { seconds: -1 }`), []string{
		"key_types/k/longest_life | a longest time can't be negative or beyond 292 years | write a duration such as 90d, 24h or 0s",
	}},
	{"a negative grace", typed(`owner: "org" scopes: "read" longest_grace { nanos: -1 }`), []string{
		"key_types/k/longest_grace | a longest time can't be negative or beyond 292 years | write a duration such as 90d, 24h or 0s",
	}},
	{"a life that is no time", typed(`owner: "org" scopes: "read" longest_life { seconds: 1 nanos: -1 }`), []string{
		"key_types/k/longest_life | a longest time can't be negative or beyond 292 years | write a duration such as 90d, 24h or 0s",
	}},
	{"no staleness at all", typed(`owner: "org" scopes: "read" max_staleness {}`), []string{badStaleness}},
	{"a negative staleness", typed(`owner: "org" scopes: "read" max_staleness { nanos: -1 }`), []string{badStaleness}},
	{"a staleness that is no time", typed(`owner: "org" scopes: "read" max_staleness { seconds: 1 nanos: -1 }`), []string{badStaleness}},
	{"a staleness beyond ten years", typed(`owner: "org" scopes: "read" max_staleness { seconds: 315360000 nanos: 1 }`), []string{badStaleness}},
	{"a staleness beyond what can be counted", typed(`owner: "org" scopes: "read" max_staleness { seconds: 9223372037 }`), []string{badStaleness}},
	{says: "the longest staleness", doc: typed(`owner: "org" scopes: "read" max_staleness { seconds: 315360000 }`)},
	{says: "the shortest staleness", doc: typed(`owner: "org" scopes: "read" max_staleness { nanos: 1 }`)},

	{"no owner", typed(`scopes: "read"`), []string{
		"key_types/k | keys of this type belong to nobody | write owner: KIND for one of the tenant kinds, or owner: principal",
	}},
	{"an owner that isn't declared", typed(`owner: "orgs" scopes: "read"`), []string{
		`key_types/k/owner/0 | tenant kind "orgs" is not declared | did you mean "org"?`,
	}},
	{"an owner that is nearly a principal", typed(`owner: "principals" scopes: "read"`), []string{
		`key_types/k/owner/0 | tenant kind "principals" is not declared | did you mean "principal"?`,
	}},
	{"it reaches a kind that isn't declared", typed(`owner: "org" scopes: "read" reaches { name: "projects" children: true }`) + projects, []string{
		`key_types/k/reaches/projects | tenant kind "projects" is not declared | did you mean "project"?`,
	}},
	{"it reaches by roles, and is a tenant's", typed(`owner: "org" scopes: "read" reaches { name: "project" roles: "admin" }`) + projects, []string{
		"key_types/k/reaches/project | a tenant's key reaches further tenants as children of its own | write {children: true}",
	}},
	{"it reaches by both, and is a tenant's", typed(`owner: "org" scopes: "read" reaches { name: "project" children: true roles: "admin" }`) + projects, []string{
		"key_types/k/reaches/project | a tenant's key reaches further tenants as children of its own | write {children: true}",
	}},
	{"it reaches what is no child", typed(`owner: "org" scopes: "read" reaches { name: "team" children: true }`) + projects, []string{
		`key_types/k/reaches/team | tenants of the kind "team" are not children of the kind "org", which owns keys of this type | name a kind whose parent is org`,
	}},
	{"it reaches its own kind", typed(`owner: "org" scopes: "read" reaches { name: "org" children: true }`) + projects, []string{
		`key_types/k/reaches/org | tenants of the kind "org" are not children of the kind "org", which owns keys of this type | name a kind whose parent is org`,
	}},
	{"it reaches children, and is a principal's", typed(`owner: "principal" scopes: "read" reaches { name: "team" children: true }`) + projects, []string{
		"key_types/k/reaches/team | a principal's key reaches tenants by the roles of its principal | write {roles: […]}",
	}},
	{"it reaches by both, and is a principal's", typed(`owner: "principal" scopes: "read" reaches { name: "team" children: true roles: "owner" }`) + projects, []string{
		"key_types/k/reaches/team | a principal's key reaches tenants by the roles of its principal | write {roles: […]}",
	}},
	{"it reaches by no role", typed(`owner: "principal" scopes: "read" reaches { name: "team" }`) + projects, []string{
		"key_types/k/reaches/team | a principal's key reaches tenants by the roles of its principal | write {roles: […]}",
	}},
	{"it reaches by a role that isn't declared", typed(`owner: "principal" scopes: "read" reaches { name: "team" roles: ["owner", "menber"] }`) + projects, []string{
		`key_types/k/reaches/team/roles/1 | role "menber" is not declared | did you mean "member"?`,
	}},
	{"a principal's ceiling", typed(`owner: "principal" scopes: "read" ceiling: CEILING_CREATOR reaches { name: "team" roles: "owner" }`) + projects, []string{
		"key_types/k/ceiling | a principal's key has no tenant in which its creator could be a ceiling | take it out: such a key is bounded by what it reaches",
	}},

	{"no scopes in any way", typed(`owner: "org"`), []string{
		"key_types/k | keys of this type must come by their scopes in exactly one way, and 0 are given | write one of scopes (fixed), grantable (chosen when a key is made) or role (through a role)",
	}},
	{"two ways", typed(`owner: "org" scopes: "read" grantable: "write"`), []string{
		"key_types/k | keys of this type must come by their scopes in exactly one way, and 2 are given | write one of scopes (fixed), grantable (chosen when a key is made) or role (through a role)",
	}},
	{"three ways", typed(`owner: "project" scopes: "read" grantable: "write" role {}`) + projects, []string{
		"key_types/k | keys of this type must come by their scopes in exactly one way, and 3 are given | write one of scopes (fixed), grantable (chosen when a key is made) or role (through a role)",
	}},
	{"a fixed scope that isn't declared", typed(`owner: "org" scopes: ["read", "raed"]`), []string{
		`key_types/k/scopes/1 | scope "raed" is not declared | did you mean "read"?`,
	}},
	{"a grantable scope that isn't declared", typed(`owner: "org" grantable: ["read", "raed"]`), []string{
		`key_types/k/grantable/1 | scope "raed" is not declared | did you mean "read"?`,
	}},
	{"a grantable scope twice", typed(`owner: "org" grantable: ["read", "read"]`), []string{
		`key_types/k/grantable/1 | scope "read" stands here twice | take one out`,
	}},
	{"all stands alone", typed(`owner: "org" grantable: ["all", "read"]`), []string{
		`key_types/k/grantable/0 | scope "all" is not declared | declare it, or use one of read, write`,
	}},
	{"a role where there are none", typed(`owner: "org" role {}`), []string{
		"key_types/k/role | keys of this type have no roles to carry | declare roles for the tenant kind that owns it, or use scopes or grantable",
	}},
	{"a role for a principal", typed(`owner: "principal" role { default: "owner" } reaches { name: "team" roles: "owner" }`) + projects, []string{
		"key_types/k/role | keys of this type have no roles to carry | declare roles for the tenant kind that owns it, or use scopes or grantable",
	}},
	{"a default role that isn't declared", typed(`owner: "project" role { default: "amdin" }`) + projects, []string{
		`key_types/k/role/default/0 | role "amdin" is not declared | did you mean "admin"?`,
	}},
	{"a default role of another kind", typed(`owner: "project" role { default: "member" }`) + projects, []string{
		`key_types/k/role/default/0 | role "member" is not declared | declare it, or use one of admin`,
	}},
	{"an endpoint that isn't declared", typed(`owner: "org" scopes: "read" only: ["Things", "Thing"]`), []string{
		`key_types/k/only/1 | endpoint "Thing" is not declared | did you mean "Things"?`,
	}},
	{"an endpoint twice", typed(`owner: "org" scopes: "read" only: ["Things", "Things"]`), []string{
		`key_types/k/only/1 | endpoint "Things" stands here twice | take one out`,
	}},
}

// formed is a document with a key type of this format.
func formed(format string, more ...string) string {
	return named + hasOrg + hasScopes + hasRoute + `key_types { name: "k" format: "` + format + `" owner: "org" scopes: "read" ` + strings.Join(more, " ") + ` }`
}

// other is a second key type.
func other(format string, more ...string) string {
	return `key_types { name: "other" format: "` + format + `" owner: "org" scopes: "read" ` + strings.Join(more, " ") + ` }`
}

const living = `environments { name: "live" } environments { name: "test" }`

var formatMistakes = []mistake{
	{"none", formed(""), []string{
		`key_types/k/format | format "": it has no {secret:LENGTH} | ` + writeFormat,
	}},
	{"text alone", formed("sk_"), []string{
		`key_types/k/format | format "sk_": it has no {secret:LENGTH} | ` + writeFormat,
	}},
	{"a secret alone", formed("{secret:32}"), []string{
		`key_types/k/format | format "{secret:32}": it has no text before the secret, by which people and scanners know it | ` + writeFormat,
	}},
	{"a secret of no length", formed("sk_{secret}"), []string{
		`key_types/k/format | format "sk_{secret}": {secret:} needs a length from 22 to 200 | ` + writeFormat,
	}},
	{"a length that is no number", formed("sk_{secret:long}"), []string{
		`key_types/k/format | format "sk_{secret:long}": {secret:long} needs a length from 22 to 200 | ` + writeFormat,
	}},
	{"a negative length", formed("sk_{secret:-32}"), []string{
		`key_types/k/format | format "sk_{secret:-32}": {secret:-32} needs a length from 22 to 200 | ` + writeFormat,
	}},
	{"a short secret", formed("sk_{secret:21}"), []string{
		`key_types/k/format | format "sk_{secret:21}": {secret:21} needs a length from 22 to 200 | ` + writeFormat,
	}},
	{"a secret that can be guessed", formed("sk_{secret:26}"), []string{
		`key_types/k/format | format "sk_{secret:26}": a secret of 26 characters can be guessed: give new ones at least 27 (160 bits) | ` + writeFormat,
	}},
	{says: "the shortest secret", doc: formed("sk_{secret:27}")},
	{"a long secret", formed("sk_{secret:201}"), []string{
		`key_types/k/format | format "sk_{secret:201}": {secret:201} needs a length from 22 to 200 | ` + writeFormat,
	}},
	{says: "the longest secret", doc: formed("sk_{secret:200}")},
	{"a long token", formed(strings.Repeat("x", 57) + "{secret:200}"), []string{
		`key_types/k/format | format "` + strings.Repeat("x", 57) + `{secret:200}": a token has at most 256 characters | ` + writeFormat,
	}},
	{says: "the longest token", doc: formed(strings.Repeat("x", 56) + "{secret:200}")},
	{"a long token, by its checksum", formed(strings.Repeat("x", 51) + "{secret:200}{checksum}"), []string{
		`key_types/k/format | format "` + strings.Repeat("x", 51) + `{secret:200}{checksum}": a token has at most 256 characters | ` + writeFormat,
	}},
	{says: "the longest token with a checksum", doc: formed(strings.Repeat("x", 50) + "{secret:200}{checksum}")},
	{"another alphabet", formed("sk_{secret:32 hex}"), []string{
		`key_types/k/format | format "sk_{secret:32 hex}": the alphabet "hex" is not one of base62 and urlsafe | ` + writeFormat,
	}},
	{says: "alphabets that there are", doc: formed("sk_{secret:32 base62}", `former_formats: "sj_{secret:32 urlsafe}"`)},
	{"a character that can't be in a token", formed("sk.{secret:32}"), []string{
		`key_types/k/format | format "sk.{secret:32}": "." can't stand in a token, which is made of A-Z a-z 0-9 _ - | ` + writeFormat,
	}},
	{"a character beyond ASCII", formed("schlüssel_{secret:32}"), []string{
		`key_types/k/format | format "schlüssel_{secret:32}": "ü" can't stand in a token, which is made of A-Z a-z 0-9 _ - | ` + writeFormat,
	}},
	{"a brace that isn't closed", formed("sk_{secret:32"), []string{
		`key_types/k/format | format "sk_{secret:32": a brace is not closed | ` + writeFormat,
	}},
	{"a brace that isn't opened", formed("sk_}{secret:32}"), []string{
		`key_types/k/format | format "sk_}{secret:32}": "}" can't stand in a token, which is made of A-Z a-z 0-9 _ - | ` + writeFormat,
	}},
	{"text after the secret", formed("sk_{secret:32}_x"), []string{
		`key_types/k/format | format "sk_{secret:32}_x": nothing but {checksum} may follow the secret | ` + writeFormat,
	}},
	{"two secrets", formed("sk_{secret:32}{secret:32}"), []string{
		`key_types/k/format | format "sk_{secret:32}{secret:32}": {secret:32} can't stand there: a format is text, {environment}, {secret:LENGTH} and {checksum}, in this order | ` + writeFormat,
	}},
	{"a checksum before the secret", formed("sk_{checksum}{secret:32}"), []string{
		`key_types/k/format | format "sk_{checksum}{secret:32}": {checksum} can't stand there: a format is text, {environment}, {secret:LENGTH} and {checksum}, in this order | ` + writeFormat,
	}},
	{"a checksum before its end", formed("sk_{secret:32}{checksum}{checksum}"), []string{
		`key_types/k/format | format "sk_{secret:32}{checksum}{checksum}": {checksum} can't stand there: a format is text, {environment}, {secret:LENGTH} and {checksum}, in this order | ` + writeFormat,
	}},
	{"text after the checksum", formed("sk_{secret:32}{checksum}x"), []string{
		`key_types/k/format | format "sk_{secret:32}{checksum}x": {checksum} can't stand there: a format is text, {environment}, {secret:LENGTH} and {checksum}, in this order | ` + writeFormat,
	}},
	{"another word", formed("sk_{region}_{secret:32}"), []string{
		`key_types/k/format | format "sk_{region}_{secret:32}": {region} can't stand there: a format is text, {environment}, {secret:LENGTH} and {checksum}, in this order | ` + writeFormat,
	}},
	{"an environment after the secret", formed("sk_{secret:32}{environment}") + living, []string{
		`key_types/k/format | format "sk_{secret:32}{environment}": {environment} can't stand there: a format is text, {environment}, {secret:LENGTH} and {checksum}, in this order | ` + writeFormat,
	}},
	{"two environments", formed("sk_{environment}{environment}{secret:32}") + living, []string{
		`key_types/k/format | format "sk_{environment}{environment}{secret:32}": {environment} can't stand there: a format is text, {environment}, {secret:LENGTH} and {checksum}, in this order | ` + writeFormat,
	}},
	{"an environment where there are none", formed("sk_{environment}_{secret:32}"), []string{
		`key_types/k/format | format "sk_{environment}_{secret:32}": it has {environment}, and the policy has no environments | ` + writeFormat,
	}},
	{"no environment where there are some", formed("sk_{secret:32}") + living, []string{
		`key_types/k/format | format "sk_{secret:32}": it lacks {environment}, so that people could not tell a key of one environment from another's | ` + writeFormat,
	}},
	{says: "a former format in no need of one", doc: formed("sk_{environment}_{secret:32}", `former_formats: "sk_{secret:32}"`) + living},
	{"a former format that is none", formed("sk_{secret:32}", `former_formats: ["sk_{secret:22}", "sk_{secret:21}", "{x}"]`), []string{
		`key_types/k/former_formats/1 | format "sk_{secret:21}": {secret:21} needs a length from 22 to 200 | ` + writeFormat,
		`key_types/k/former_formats/2 | format "{x}": {x} can't stand there: a format is text, {environment}, {secret:LENGTH} and {checksum}, in this order | ` + writeFormat,
	}},

	{"two types of one form", formed("sk_{secret:32}") + other("sk_{secret:32}"), []string{
		`key_types/other/format | one token could be of the type "other" (sk_…) and of the type "k" (sk_…) | give them prefixes or lengths that differ`,
	}},
	{"two types that one token could fit by its secret", formed("sk_{secret:32}") + other("sk_x{secret:31}"), []string{
		`key_types/other/format | one token could be of the type "other" (sk_x…) and of the type "k" (sk_…) | give them prefixes or lengths that differ`,
	}},
	{"two types that one token could fit by a secret with _", formed("sk_{secret:32 urlsafe}") + other("sk_x_{secret:30}"), []string{
		`key_types/other/format | one token could be of the type "other" (sk_x_…) and of the type "k" (sk_…) | give them prefixes or lengths that differ`,
	}},
	{says: "two types that differ by _ in a base62 secret", doc: formed("sk_{secret:32}") + other("sk_x_{secret:30}")},
	{"two types that one token could fit by a checksum", formed("sk_{secret:33}") + other("sk_{secret:27}{checksum}"), []string{
		`key_types/other/format | one token could be of the type "other" (sk_…) and of the type "k" (sk_…) | give them prefixes or lengths that differ`,
	}},
	{says: "two types that differ by length", doc: formed("sk_{secret:32}") + other("sk_{secret:33}")},
	{says: "two types that differ by prefix", doc: formed("sk_{secret:32}") + other("usk_{secret:31}")},
	{"a former format that fits another type", formed("sk_{secret:32}") + other("xk_{secret:32}", `former_formats: ["sk_{secret:32}", "sk_y{secret:31}"]`), []string{
		`key_types/other/format | one token could be of the type "other" (sk_…) and of the type "k" (sk_…) | give them prefixes or lengths that differ`,
	}},
	{says: "former formats of one type may meet", doc: formed("sk_{secret:32}", `former_formats: ["sk_{secret:32}", "sk_x{secret:31}"]`)},
	{"two types that one token could fit in one environment", formed("sk_{environment}_{secret:32}") + other("sk_live_{environment}{secret:28}") + living, []string{
		`key_types/other/format | one token could be of the type "other" (sk_live_live…) and of the type "k" (sk_live_…) | give them prefixes or lengths that differ`,
	}},
}
