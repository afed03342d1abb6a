package policy_test

import "strings"

var nameMistakes = []mistake{
	{"no name", `hosts: "a.example"` + unnamed, []string{
		`name | "" can't name a policy | ` + writeSlug,
	}},
	{"a name in capitals", `name: "Demo" hosts: "a.example"` + unnamed, []string{
		`name | "Demo" can't name a policy | ` + writeSlug,
	}},
	{"a name that begins with a digit", `name: "1demo" hosts: "a.example"` + unnamed, []string{
		`name | "1demo" can't name a policy | ` + writeSlug,
	}},
	{"a name that begins with a dash", `name: "-demo" hosts: "a.example"` + unnamed, []string{
		`name | "-demo" can't name a policy | ` + writeSlug,
	}},
	{"a name with a dot", `name: "de.mo" hosts: "a.example"` + unnamed, []string{
		`name | "de.mo" can't name a policy | ` + writeSlug,
	}},
	{"a long name", `name: "` + strings.Repeat("a", 64) + `" hosts: "a.example"` + unnamed, []string{
		`name | "` + strings.Repeat("a", 64) + `" can't name a policy | ` + writeSlug,
	}},
	{says: "the longest name", doc: `name: "` + strings.Repeat("a", 61) + `_-" hosts: "a.example"` + unnamed},

	{"a permission with a space", minimal + `permissions: "a b"`, []string{
		`permissions/0 | "a b" can't name a permission | ` + writeScope,
	}},
	{"an empty permission", minimal + `permissions: ""`, []string{
		`permissions/0 | "" can't name a permission | ` + writeScope,
	}},
	{"a permission called all", minimal + `permissions: "all"`, []string{
		`permissions/0 | "all" can't name a permission | ` + writeScope,
	}},
	{"a permission twice", minimal + `permissions: ["a", "b", "a"]`, []string{
		`permissions/2 | the permission "a" is declared twice | take one out`,
	}},
	{"too many permissions", minimal + repeat(257, `permissions: "p%d"`), []string{
		"permissions | 257 permissions are more than the 256 that a policy may have | split the policy by host",
	}},
	{says: "as many permissions as there can be", doc: minimal + repeat(256, `permissions: "p%d"`)},

	{"a scope with a slash", minimal + `scopes { name: "a/b" }`, []string{
		`scopes/a/b | "a/b" can't name a scope | ` + writeScope,
	}},
	{"a scope called all", minimal + `scopes { name: "all" }`, []string{
		`scopes/all | "all" can't name a scope | ` + writeScope,
	}},
	{"a long scope", minimal + `scopes { name: "` + strings.Repeat("a", 129) + `" }`, []string{
		"scopes/" + strings.Repeat("a", 129) + ` | "` + strings.Repeat("a", 129) + `" can't name a scope | ` + writeScope,
	}},
	{says: "the longest scope", doc: minimal + `scopes { name: "` + strings.Repeat("a", 128) + `" }`},
	{"a scope twice", minimal + `scopes { name: "read" }`, []string{
		`scopes/read | the scope "read" is declared twice | take one out`,
	}},
	{"too many scopes", minimal + repeat(255, `scopes { name: "s%d" }`), []string{
		"scopes | 257 scopes are more than the 256 that a policy may have | split the policy by host",
	}},
	{"a permission that isn't declared", minimal + `permissions: "doc.read" scopes { name: "x" requires: ["doc.read", "doc.raed"] }`, []string{
		`scopes/x/requires/1 | permission "doc.raed" is not declared | did you mean "doc.read"?`,
	}},
	{"a permission where none is", minimal + `scopes { name: "x" requires: "doc.read" }`, []string{
		`scopes/x/requires/0 | permission "doc.read" is not declared | declare it first`,
	}},
	{"a permission required twice", minimal + `permissions: "doc.read" scopes { name: "x" requires: ["doc.read", "doc.read"] }`, []string{
		`scopes/x/requires/1 | permission "doc.read" stands here twice | take one out`,
	}},
	{"a scope that isn't declared", minimal + `scopes { name: "x" implies: "something" }`, []string{
		`scopes/x/implies/0 | scope "something" is not declared | declare it, or use one of read, write, x`,
	}},
	{"a scope implied twice", minimal + `scopes { name: "x" implies: ["read", "write", "read"] }`, []string{
		`scopes/x/implies/2 | scope "read" stands here twice | take one out`,
	}},
	{"all can't be implied", minimal + `scopes { name: "x" implies: "all" }`, []string{
		`scopes/x/implies/0 | scope "all" is not declared | declare it, or use one of read, write, x`,
	}},
}

// unnamed is what a document needs beside its name and hosts.
const unnamed = hasOrg + hasScopes + hasType + hasRoute

var hostMistakes = []mistake{
	{"none", `name: "demo"` + unnamed, []string{
		"hosts | the policy claims no host | name the hosts that clients use, such as hosts: [api.example.com]",
	}},
	{"an empty one", minimal + `hosts: ""`, []string{
		`hosts/1 | host "": a host has 1 to 253 characters | ` + writeHost,
	}},
	{"in capitals", minimal + `hosts: "API.a.example"`, []string{
		`hosts/1 | host "API.a.example": hosts are compared in lower case: write api.a.example | ` + writeHost,
	}},
	{"with a port", minimal + `hosts: "a.example:443"`, []string{
		`hosts/1 | host "a.example:443": a host is written without its port | ` + writeHost,
	}},
	{"a star alone", minimal + `hosts: "*"`, []string{
		"hosts/1 | host \"*\": `*.` stands at the start, for one or more labels, and nowhere else | " + writeHost,
	}},
	{"a star and a dot", minimal + `hosts: "*."`, []string{
		`hosts/1 | host "*.": a host has 1 to 253 characters | ` + writeHost,
	}},
	{"a star within", minimal + `hosts: "a.*.example"`, []string{
		"hosts/1 | host \"a.*.example\": `*.` stands at the start, for one or more labels, and nowhere else | " + writeHost,
	}},
	{"two stars", minimal + `hosts: "*.*.example"`, []string{
		"hosts/1 | host \"*.*.example\": `*.` stands at the start, for one or more labels, and nowhere else | " + writeHost,
	}},
	{"a star before a name", minimal + `hosts: "*a.example"`, []string{
		"hosts/1 | host \"*a.example\": `*.` stands at the start, for one or more labels, and nowhere else | " + writeHost,
	}},
	{"a URL", minimal + `hosts: "https://a.example"`, []string{
		`hosts/1 | host "https://a.example": "/" can't stand in a host | ` + writeHost,
	}},
	{"a user", minimal + `hosts: "u@a.example"`, []string{
		`hosts/1 | host "u@a.example": "@" can't stand in a host | ` + writeHost,
	}},
	{"two in one", minimal + `hosts: "a.example,b.example"`, []string{
		`hosts/1 | host "a.example,b.example": "," can't stand in a host | ` + writeHost,
	}},
	{"a space", minimal + `hosts: "a example"`, []string{
		`hosts/1 | host "a example": " " can't stand in a host | ` + writeHost,
	}},
	{"a control", minimal + `hosts: "a\x7f.example"`, []string{
		`hosts/1 | host "a\x7f.example": "\x7f" can't stand in a host | ` + writeHost,
	}},
	{"beyond ASCII", minimal + `hosts: "ä.example"`, []string{
		`hosts/1 | host "ä.example": "ä" can't stand in a host | ` + writeHost,
	}},
	{"a query", minimal + `hosts: "a.example?x"`, []string{
		`hosts/1 | host "a.example?x": "?" can't stand in a host | ` + writeHost,
	}},
	{"a fragment", minimal + `hosts: "a.example#x"`, []string{
		`hosts/1 | host "a.example#x": "#" can't stand in a host | ` + writeHost,
	}},
	{"too long", minimal + `hosts: "` + strings.Repeat("a", 254) + `"`, []string{
		`hosts/1 | host "` + strings.Repeat("a", 254) + `": a host has 1 to 253 characters | ` + writeHost,
	}},
	{says: "as long as can be", doc: minimal + `hosts: "` + strings.Repeat("a", 253) + `"`},
	{says: "what may be listed", doc: minimal + `hosts: ["a.example.", "10.0.0.1", "[::1]", "*.x", "a_b-c"]`},
	{"twice", minimal + `hosts: ["a.example", "api.demo.example"]`, []string{
		"hosts/2 | the host api.demo.example stands in this policy twice | take one out",
	}},
	{"twice, once for an environment", environments + `environments { name: "test" hosts: "api.demo.example" }`, []string{
		"environments/test/hosts/0 | the host api.demo.example stands in this policy twice | take one out",
	}},
	{"twice, for two environments", environments + `environments { name: "x" hosts: "x.example" } environments { name: "y" hosts: ["y.example", "x.example"] }`, []string{
		"environments/y/hosts/1 | the host x.example stands in this policy twice | take one out",
	}},

	{"an environment without a name", environments + `environments { title: "x" }`, []string{
		`environments/ | "" can't name an environment | ` + writeSlug,
	}},
	{"an environment in capitals", environments + `environments { name: "Live" }`, []string{
		`environments/Live | "Live" can't name an environment | ` + writeSlug,
	}},
	{"an environment twice", environments + `environments { name: "live" }`, []string{
		`environments/live | the environment "live" stands here twice | take one out`,
	}},
	{"a bad host of an environment", environments + `environments { name: "test" hosts: ["t.example", "T.example"] }`, []string{
		`environments/test/hosts/1 | host "T.example": hosts are compared in lower case: write t.example | ` + writeHost,
	}},
	{"a title with a line break", environments + `environments { name: "test" title: "a\nb" }`, []string{
		`environments/test/title | "a\nb" can't name an environment in replies | ` + writeTitle,
	}},
	{"a title with a space at its end", environments + `environments { name: "test" title: "staging " }`, []string{
		`environments/test/title | "staging " can't name an environment in replies | ` + writeTitle,
	}},
	{"a title beyond ASCII", environments + `environments { name: "test" title: "Prüfstand" }`, []string{
		`environments/test/title | "Prüfstand" can't name an environment in replies | ` + writeTitle,
	}},
	{"a long title", environments + `environments { name: "test" title: "` + strings.Repeat("a", 129) + `" }`, []string{
		`environments/test/title | "` + strings.Repeat("a", 129) + `" can't name an environment in replies | ` + writeTitle,
	}},
	{says: "the longest title", doc: environments + `environments { name: "test" title: "` + strings.Repeat("a", 128) + `" }`},
}

// environments is minimal with an environment.
const environments = named + hasOrg + hasScopes + boundType + hasRoute + `environments { name: "live" }`
