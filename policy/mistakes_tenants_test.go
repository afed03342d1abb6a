package policy_test

import "strings"

var tenantMistakes = []mistake{
	{"a kind in capitals", minimal + `tenants { name: "Team" }`, []string{
		`tenants/Team | "Team" can't name a tenant kind | ` + writeSlug,
	}},
	{"a kind without a name", minimal + `tenants {}`, []string{
		`tenants/ | "" can't name a tenant kind | ` + writeSlug,
	}},
	{"a kind twice", minimal + `tenants { name: "org" }`, []string{
		`tenants/org | the kind "org" stands here twice, or means principals | give the kind another name`,
	}},
	{"a kind that means people", minimal + `tenants { name: "principal" }`, []string{
		`tenants/principal | the kind "principal" stands here twice, or means principals | give the kind another name`,
	}},
	{"a parent that isn't declared", minimal + `tenants { name: "project" parent: "ogr" }`, []string{
		`tenants/project/parent/0 | tenant kind "ogr" is not declared | declare it, or use one of org, project`,
	}},
	{"its own parent", minimal + `tenants { name: "a" parent: "a" }`, []string{
		`tenants/a/parent | the parents of the kind "a" form a circle | take one parent out`,
	}},
	{"parents in a circle", minimal + `tenants { name: "c" parent: "b" } tenants { name: "b" parent: "a" } tenants { name: "a" parent: "b" }`, []string{
		`tenants/a/parent | the parents of the kind "a" form a circle | take one parent out`,
		`tenants/b/parent | the parents of the kind "b" form a circle | take one parent out`,
		`tenants/c/parent | the parents of the kind "c" form a circle | take one parent out`,
	}},
	{says: "a long chain of parents", doc: minimal + `tenants { name: "a" parent: "b" } tenants { name: "b" parent: "c" } tenants { name: "c" parent: "org" }`},
	{"a plan with a space", minimal + `tenants { name: "a" plans: ["free", "free plan"] }`, []string{
		`tenants/a/plans/1 | "free plan" can't name a plan | ` + writeName,
	}},
	{"a role with a space", minimal + `tenants { name: "a" roles { name: "an owner" } }`, []string{
		`tenants/a/roles/an owner | "an owner" can't name a role | ` + writeName,
	}},
	{"a role twice", minimal + `tenants { name: "a" roles { name: "owner" } roles { name: "owner" } }`, []string{
		`tenants/a/roles/owner | the role "owner" stands here twice | take one out`,
	}},
	{"a role's scope that isn't declared", minimal + `tenants { name: "a" roles { name: "owner" scopes: ["read", "wriet"] } }`, []string{
		`tenants/a/roles/owner/scopes/1 | scope "wriet" is not declared | did you mean "write"?`,
	}},
	{"a role's scope twice", minimal + `tenants { name: "a" roles { name: "owner" scopes: ["read", "read"] } }`, []string{
		`tenants/a/roles/owner/scopes/1 | scope "read" stands here twice | take one out`,
	}},
	{"all stands alone", minimal + `tenants { name: "a" roles { name: "owner" scopes: ["read", "all"] } }`, []string{
		`tenants/a/roles/owner/scopes/1 | scope "all" is not declared | declare it, or use one of read, write`,
	}},
	{"a role's permission that isn't declared", minimal + `permissions: "p" tenants { name: "a" roles { name: "owner" permissions: "q" } }`, []string{
		`tenants/a/roles/owner/permissions/0 | permission "q" is not declared | declare it, or use one of p`,
	}},
	{"all is no permission", minimal + `permissions: "doc.read" tenants { name: "a" roles { name: "owner" permissions: "all" } }`, []string{
		`tenants/a/roles/owner/permissions/0 | permission "all" is not declared | declare it, or use one of doc.read`,
	}},
	{"all of no scopes", named + `tenants { name: "org" roles { name: "owner" scopes: "all" } }` + hasType + `endpoints { name: "x" public: true routes: "GET /x" }`, []string{
		"tenants/org/roles/owner/scopes | all of no scopes is nothing | declare scopes first",
		"key_types/secret/grantable | all of no scopes is nothing | declare scopes first",
	}},
}

var credentialMistakes = []mistake{
	{"another scheme", minimal + `credentials: "Authorization: Basic"`, []string{
		"credentials/0 | \"Authorization: Basic\" is not a place for keys: only the scheme Bearer is known | write `Authorization: Bearer`, or the name of another header",
	}},
	{"no scheme", minimal + `credentials: "Authorization"`, []string{
		`credentials/0 | "Authorization" can't hold a key (this header begins with a scheme) | ` + writeCredential,
	}},
	{"a header with a space", minimal + `credentials: "x api key"`, []string{
		`credentials/0 | "x api key" can't hold a key (a header's name is made of a-z, 0-9, - and _) | ` + writeCredential,
	}},
	{"no header", minimal + `credentials: ""`, []string{
		`credentials/0 | "" can't hold a key (a header's name has 1 to 128 characters) | ` + writeCredential,
	}},
	{"a long header", minimal + `credentials: "` + strings.Repeat("x", 129) + `"`, []string{
		`credentials/0 | "` + strings.Repeat("x", 129) + `" can't hold a key (a header's name has 1 to 128 characters) | ` + writeCredential,
	}},
	{says: "the longest header", doc: minimal + `credentials: "` + strings.Repeat("x", 128) + `"`},
	{"ours", minimal + `credentials: "X-Latchkey-Key"`, []string{
		`credentials/0 | "X-Latchkey-Key" can't hold a key (these headers belong to Latchkey and Envoy) | ` + writeCredential,
	}},
	{"Envoy's", minimal + `credentials: "x-envoy-key"`, []string{
		`credentials/0 | "x-envoy-key" can't hold a key (these headers belong to Latchkey and Envoy) | ` + writeCredential,
	}},
	{"cookies", minimal + `credentials: "Cookie"`, []string{
		`credentials/0 | "Cookie" can't hold a key (this header has a meaning of its own) | ` + writeCredential,
	}},
	{"one that the connection needs", minimal + `credentials: ["x-api-key", "host", "X-Forwarded-For"]`, []string{
		`credentials/1 | "host" can't hold a key (this header has a meaning of its own) | ` + writeCredential,
		`credentials/2 | "X-Forwarded-For" can't hold a key (this header has a meaning of its own) | ` + writeCredential,
	}},
	{"twice", minimal + `credentials: ["X-Api-Key", "x-api-key"]`, []string{
		"credentials/1 | the header x-api-key is declared twice | take one out",
	}},
	{"twice, with a scheme and without", minimal + `credentials: ["x-api-key", "x-api-key: Bearer"]`, []string{
		"credentials/1 | the header x-api-key is declared twice | take one out",
	}},
}

var placeMistakes = []mistake{
	{"nowhere", minimal + `tenants { name: "a" named_by: "" }`, []string{
		"tenants/a/named_by/0 | \"\" is no place in a request | write `header NAME`, `path PARAMETER` or `query PARAMETER`",
	}},
	{"somewhere else", minimal + `tenants { name: "a" named_by: "body org" }`, []string{
		"tenants/a/named_by/0 | \"body org\" is no place in a request | write `header NAME`, `path PARAMETER` or `query PARAMETER`",
	}},
	{"a word that is no place", minimal + `tenants { name: "a" named_by: "Header x-org" }`, []string{
		"tenants/a/named_by/0 | \"Header x-org\" is no place in a request | write `header NAME`, `path PARAMETER` or `query PARAMETER`",
	}},
	{"a header of ours in another spelling", minimal + `tenants { name: "a" named_by: "header X_Latchkey_Tenant" }`, []string{
		`tenants/a/named_by/0 | the header "X_Latchkey_Tenant" can't name a tenant (these headers belong to Latchkey and Envoy) | use a header such as x-tenant-id`,
	}},
	{"a header of ours", minimal + `tenants { name: "a" named_by: "header x-latchkey-tenant" }`, []string{
		`tenants/a/named_by/0 | the header "x-latchkey-tenant" can't name a tenant (these headers belong to Latchkey and Envoy) | use a header such as x-tenant-id`,
	}},
	{"a header with a meaning", minimal + `tenants { name: "a" named_by: "header Host" }`, []string{
		`tenants/a/named_by/0 | the header "Host" can't name a tenant (this header has a meaning of its own) | use a header such as x-tenant-id`,
	}},
	{"a header without a name", minimal + `tenants { name: "a" named_by: "header" }`, []string{
		`tenants/a/named_by/0 | the header "" can't name a tenant (a header's name has 1 to 128 characters) | use a header such as x-tenant-id`,
	}},
	{"two words", minimal + `tenants { name: "a" named_by: "header x-a x-b" }`, []string{
		`tenants/a/named_by/0 | the header "x-a x-b" can't name a tenant (a header's name is made of a-z, 0-9, - and _) | use a header such as x-tenant-id`,
	}},
	{"the header that holds keys by default", minimal + `tenants { name: "a" named_by: "header Authorization" }`, []string{
		"tenants/a/named_by/0 | the header authorization holds keys | use another header",
	}},
	{"a header that holds keys", minimal + `credentials: "x-api-key" tenants { name: "a" named_by: "header X-Api-Key" }`, []string{
		"tenants/a/named_by/0 | the header x-api-key holds keys | use another header",
	}},
	{"a parameter of no route", minimal + `endpoints { name: "o" scopes: "read" routes: "GET /orgs/{org}" } tenants { name: "a" named_by: "path ogr" }`, []string{
		"tenants/a/named_by/0 | no route has a parameter {ogr} | declare it, or use one of org",
	}},
	{"a parameter where no route has any", minimal + `tenants { name: "a" named_by: "path org" }`, []string{
		"tenants/a/named_by/0 | no route has a parameter {org} | declare it first",
	}},
	{"a query parameter in capitals", minimal + `tenants { name: "a" named_by: "query Org" }`, []string{
		`tenants/a/named_by/0 | "Org" can't name a query parameter | use a-z, 0-9 and _`,
	}},
	{"a query parameter without a name", minimal + `tenants { name: "a" named_by: "query" }`, []string{
		`tenants/a/named_by/0 | "" can't name a query parameter | use a-z, 0-9 and _`,
	}},
	{"a long query parameter", minimal + `tenants { name: "a" named_by: "query ` + strings.Repeat("a", 65) + `" }`, []string{
		`tenants/a/named_by/0 | "` + strings.Repeat("a", 65) + `" can't name a query parameter | use a-z, 0-9 and _`,
	}},
	{says: "the longest query parameter", doc: minimal + `tenants { name: "a" named_by: "query ` + strings.Repeat("a", 64) + `" }`},
	{"one place for two kinds", minimal + `tenants { name: "a" named_by: "header x-t" } tenants { name: "b" named_by: "header X-T" }`, []string{
		`tenants/b/named_by/0 | this place names tenants of the kind "a" already | use another place for one of them`,
	}},
	{"one place twice", minimal + `tenants { name: "a" named_by: ["query t", "query t"] }`, []string{
		`tenants/a/named_by/1 | this place names tenants of the kind "a" already | use another place for one of them`,
	}},
	{says: "one name in three places", doc: minimal + `endpoints { name: "o" scopes: "read" routes: "GET /t/{t}" } tenants { name: "a" named_by: ["query t", "header t", "path t"] }`},
}
