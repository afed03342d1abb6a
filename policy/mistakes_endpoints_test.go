package policy_test

import "strings"

var endpointMistakes = []mistake{
	{"none", named + hasOrg + hasScopes + hasType, []string{
		"endpoints | the policy has no endpoints | declare what its keys open",
	}},
	{"no name", minimal + `endpoints { scopes: "read" routes: "GET /x" }`, []string{
		`endpoints/ | "" can't name an endpoint | ` + writeTitle,
	}},
	{"a name with a line break", minimal + `endpoints { name: "a\nb" scopes: "read" routes: "GET /x" }`, []string{
		"endpoints/a\nb | \"a\\nb\" can't name an endpoint | " + writeTitle,
	}},
	{"a name with a space before it", minimal + `endpoints { name: " a" scopes: "read" routes: "GET /x" }`, []string{
		`endpoints/ a | " a" can't name an endpoint | ` + writeTitle,
	}},
	{"twice", minimal + `endpoints { name: "Things" scopes: "read" routes: "GET /x" }`, []string{
		`endpoints/Things | the endpoint "Things" stands here twice | take one out`,
	}},
	{"a scope that isn't declared", minimal + `endpoints { name: "x" scopes: ["read", "raed"] routes: "GET /x" }`, []string{
		`endpoints/x/scopes/1 | scope "raed" is not declared | did you mean "read"?`,
	}},
	{"a permission that isn't declared", minimal + `endpoints { name: "x" scopes: "read" permissions: "p" routes: "GET /x" }`, []string{
		`endpoints/x/permissions/0 | permission "p" is not declared | declare it first`,
	}},
	{"a permission twice", minimal + `permissions: "p" endpoints { name: "x" scopes: "read" permissions: ["p", "p"] routes: "GET /x" }`, []string{
		`endpoints/x/permissions/1 | permission "p" stands here twice | take one out`,
	}},
	{"no scope", minimal + `endpoints { name: "x" routes: "GET /x" }`, []string{
		"endpoints/x | it asks for no scope, so that every key would open it | name its scopes, or write public: true",
	}},
	{"a permission and no scope", minimal + `permissions: "p" endpoints { name: "x" permissions: "p" routes: "GET /x" }`, []string{
		"endpoints/x | it asks for no scope, so that every key would open it | name its scopes, or write public: true",
	}},
	{"all of no scopes is no scope", named + hasOrg + `key_types { name: "k" format: "k_{secret:32}" owner: "org" grantable: "all" } endpoints { name: "x" scopes: "all" routes: "GET /x" }`, []string{
		"endpoints/x/scopes | all of no scopes is nothing | declare scopes first",
		"key_types/k/grantable | all of no scopes is nothing | declare scopes first",
	}},
	{"public with a scope", minimal + `endpoints { name: "x" public: true scopes: "read" routes: "GET /x" }`, []string{
		"endpoints/x/public | no key is read at a public endpoint, so it can ask for nothing | take out `public`, or what it asks for",
	}},
	{"public with a permission", minimal + `permissions: "p" endpoints { name: "x" public: true permissions: "p" routes: "GET /x" }`, []string{
		"endpoints/x/public | no key is read at a public endpoint, so it can ask for nothing | take out `public`, or what it asks for",
	}},
	{"public with a tenant", minimal + `endpoints { name: "x" public: true tenant: TENANCY_REQUIRED routes: "GET /x" }`, []string{
		"endpoints/x/public | no key is read at a public endpoint, so it can ask for nothing | take out `public`, or what it asks for",
	}},
	{says: "public without a tenant", doc: minimal + `endpoints { name: "x" public: true tenant: TENANCY_NONE routes: "GET /x" }`},
	{"no routes", minimal + `endpoints { name: "x" scopes: "read" }`, []string{
		"endpoints/x | it has no routes | give it routes, such as GET /v1/things/{id}",
	}},
}

// onRoute is a document with this route, beside `GET /things`.
func onRoute(route string) string {
	return minimal + `endpoints { name: "x" scopes: "read" routes: ["` + route + `"] }`
}

var routeMistakes = []mistake{
	{"nothing", onRoute(""), []string{
		"endpoints/x/routes/0 | route \"\": a route is `METHOD[,METHOD] /path`, with one space | " + writeRoute,
	}},
	{"no method", onRoute("/x"), []string{
		"endpoints/x/routes/0 | route \"/x\": a route is `METHOD[,METHOD] /path`, with one space | " + writeRoute,
	}},
	{"no path", onRoute("GET "), []string{
		"endpoints/x/routes/0 | route \"GET \": a route is `METHOD[,METHOD] /path`, with one space | " + writeRoute,
	}},
	{"two spaces", onRoute("GET  /x"), []string{
		"endpoints/x/routes/0 | route \"GET  /x\": a route is `METHOD[,METHOD] /path`, with one space | " + writeRoute,
	}},
	{"a space in the path", onRoute("GET /x y"), []string{
		"endpoints/x/routes/0 | route \"GET /x y\": a route is `METHOD[,METHOD] /path`, with one space | " + writeRoute,
	}},
	{"a space in the methods", onRoute("GET, POST /x"), []string{
		"endpoints/x/routes/0 | route \"GET, POST /x\": a route is `METHOD[,METHOD] /path`, with one space | " + writeRoute,
	}},
	{"small letters", onRoute("get /x"), []string{
		`endpoints/x/routes/0 | route "get /x": "get" is not a method: methods are written in capitals, joined by commas without spaces | ` + writeRoute,
	}},
	{"an empty method", onRoute("GET,,POST /x"), []string{
		`endpoints/x/routes/0 | route "GET,,POST /x": "" is not a method: methods are written in capitals, joined by commas without spaces | ` + writeRoute,
	}},
	{"a method that begins with a dash", onRoute("-GET /x"), []string{
		`endpoints/x/routes/0 | route "-GET /x": "-GET" is not a method: methods are written in capitals, joined by commas without spaces | ` + writeRoute,
	}},
	{"a method with a digit", onRoute("GET2 /x"), []string{
		`endpoints/x/routes/0 | route "GET2 /x": "GET2" is not a method: methods are written in capitals, joined by commas without spaces | ` + writeRoute,
	}},
	{"a long method", onRoute(strings.Repeat("X", 33) + " /x"), []string{
		`endpoints/x/routes/0 | route "` + strings.Repeat("X", 33) + ` /x": "` + strings.Repeat("X", 33) + `" is not a method: methods are written in capitals, joined by commas without spaces | ` + writeRoute,
	}},
	{says: "the longest method", doc: onRoute(strings.Repeat("X", 32) + " /x")},
	{"a method twice", onRoute("GET,PUT,GET /x"), []string{
		`endpoints/x/routes/0 | route "GET,PUT,GET /x": the method GET stands in it twice | ` + writeRoute,
	}},
	{"CONNECT", onRoute("CONNECT /x"), []string{
		`endpoints/x/routes/0 | route "CONNECT /x": CONNECT opens a tunnel and has no path: it can't be routed | ` + writeRoute,
	}},
	{"CONNECT in a list", onRoute("GET,CONNECT /x"), []string{
		`endpoints/x/routes/0 | route "GET,CONNECT /x": CONNECT opens a tunnel and has no path: it can't be routed | ` + writeRoute,
	}},
	{"* in a list", onRoute("GET,* /x"), []string{
		"endpoints/x/routes/0 | route \"GET,* /x\": `*` stands alone: it means GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS | " + writeRoute,
	}},
	{"no slash", onRoute("GET x/y"), []string{
		`endpoints/x/routes/0 | route "GET x/y": the path must begin with a slash | ` + writeRoute,
	}},
	{"a URL", onRoute("GET https://a.example/x"), []string{
		`endpoints/x/routes/0 | route "GET https://a.example/x": the path must begin with a slash | ` + writeRoute,
	}},
	{"a trailing slash", onRoute("GET /x/"), []string{
		`endpoints/x/routes/0 | route "GET /x/": a segment is never empty: take out the doubled or trailing slash | ` + writeRoute,
	}},
	{"two slashes", onRoute("GET /x//y"), []string{
		`endpoints/x/routes/0 | route "GET /x//y": a segment is never empty: take out the doubled or trailing slash | ` + writeRoute,
	}},
	{"two slashes first", onRoute("GET //x"), []string{
		`endpoints/x/routes/0 | route "GET //x": a segment is never empty: take out the doubled or trailing slash | ` + writeRoute,
	}},
	{"a dot", onRoute("GET /x/./y"), []string{
		`endpoints/x/routes/0 | route "GET /x/./y": a dot segment can never be matched | ` + writeRoute,
	}},
	{"two dots", onRoute("GET /x/.."), []string{
		`endpoints/x/routes/0 | route "GET /x/..": a dot segment can never be matched | ` + writeRoute,
	}},
	{"** before the end", onRoute("GET /x/**/y"), []string{
		"endpoints/x/routes/0 | route \"GET /x/**/y\": `**` stands for the rest of the path and must be its last segment | " + writeRoute,
	}},
	{"a star within", onRoute("GET /x*"), []string{
		`endpoints/x/routes/0 | route "GET /x*": "*" can't stand in a segment: a segment is literal text, {name}, * or ** | ` + writeRoute,
	}},
	{"three stars", onRoute("GET /***"), []string{
		`endpoints/x/routes/0 | route "GET /***": "*" can't stand in a segment: a segment is literal text, {name}, * or ** | ` + writeRoute,
	}},
	{"a query", onRoute("GET /x?y"), []string{
		`endpoints/x/routes/0 | route "GET /x?y": "?" can't stand in a segment: a segment is literal text, {name}, * or ** | ` + writeRoute,
	}},
	{"an escape", onRoute("GET /x%20y"), []string{
		`endpoints/x/routes/0 | route "GET /x%20y": "%" can't stand in a segment: a segment is literal text, {name}, * or ** | ` + writeRoute,
	}},
	{"a semicolon", onRoute("GET /x;y"), []string{
		`endpoints/x/routes/0 | route "GET /x;y": ";" can't stand in a segment: a segment is literal text, {name}, * or ** | ` + writeRoute,
	}},
	{"beyond ASCII", onRoute("GET /ä"), []string{
		`endpoints/x/routes/0 | route "GET /ä": "ä" can't stand in a segment: a segment is literal text, {name}, * or ** | ` + writeRoute,
	}},
	{"a parameter within a segment", onRoute("GET /x-{id}"), []string{
		`endpoints/x/routes/0 | route "GET /x-{id}": "{" can't stand in a segment: a segment is literal text, {name}, * or ** | ` + writeRoute,
	}},
	{"a parameter and more", onRoute("GET /{id}.json"), []string{
		`endpoints/x/routes/0 | route "GET /{id}.json": "{id}.json" is not a parameter: write {name} with a-z, 0-9 and _, for a whole segment | ` + writeRoute,
	}},
	{"a parameter without a name", onRoute("GET /{}"), []string{
		`endpoints/x/routes/0 | route "GET /{}": "{}" is not a parameter: write {name} with a-z, 0-9 and _, for a whole segment | ` + writeRoute,
	}},
	{"a parameter in capitals", onRoute("GET /{Id}"), []string{
		`endpoints/x/routes/0 | route "GET /{Id}": "{Id}" is not a parameter: write {name} with a-z, 0-9 and _, for a whole segment | ` + writeRoute,
	}},
	{"a parameter that begins with a digit", onRoute("GET /{1d}"), []string{
		`endpoints/x/routes/0 | route "GET /{1d}": "{1d}" is not a parameter: write {name} with a-z, 0-9 and _, for a whole segment | ` + writeRoute,
	}},
	{"a parameter that isn't closed", onRoute("GET /{id"), []string{
		`endpoints/x/routes/0 | route "GET /{id": "{id" is not a parameter: write {name} with a-z, 0-9 and _, for a whole segment | ` + writeRoute,
	}},
	{"a parameter with a long name", onRoute("GET /{" + strings.Repeat("a", 65) + "}"), []string{
		`endpoints/x/routes/0 | route "GET /{` + strings.Repeat("a", 65) + `}": "{` + strings.Repeat("a", 65) + `}" is not a parameter: write {name} with a-z, 0-9 and _, for a whole segment | ` + writeRoute,
	}},
	{says: "a parameter with the longest name", doc: onRoute("GET /{" + strings.Repeat("a", 63) + "9}")},
	{"a parameter twice", onRoute("GET /{id}/x/{id}"), []string{
		`endpoints/x/routes/0 | route "GET /{id}/x/{id}": the parameter {id} stands in it twice: give each its own name | ` + writeRoute,
	}},
	{"too many segments", onRoute("GET " + strings.Repeat("/a", 257)), []string{
		`endpoints/x/routes/0 | route "GET ` + strings.Repeat("/a", 257) + `": a path has at most 256 segments | ` + writeRoute,
	}},
	{says: "as many segments as there can be", doc: onRoute("GET " + strings.Repeat("/a", 256))},
	{"a clash", onRoute("GET /things"), []string{
		`endpoints/x/routes/0 | route "GET /things" clashes with "GET /things" of the endpoint "Things": one request would fit both | take one out, or name different methods`,
	}},
	{"a clash by one of its methods", onRoute("PUT,GET /things"), []string{
		`endpoints/x/routes/0 | route "PUT,GET /things" clashes with "GET /things" of the endpoint "Things": one request would fit both | take one out, or name different methods`,
	}},
	{"a clash but for the names of parameters", onRoute(`GET /a/{id}", "GET /a/{name}`), []string{
		`endpoints/x/routes/1 | route "GET /a/{name}" clashes with "GET /a/{id}" of the endpoint "x": one request would fit both | take one out, or name different methods`,
	}},
	{"a clash of a parameter and *", onRoute(`GET /a/{id}/**", "GET /a/*/**`), []string{
		`endpoints/x/routes/1 | route "GET /a/*/**" clashes with "GET /a/{id}/**" of the endpoint "x": one request would fit both | take one out, or name different methods`,
	}},
	{"a clash of *", onRoute(`* /a", "* /a`), []string{
		`endpoints/x/routes/1 | route "* /a" clashes with "* /a" of the endpoint "x": one request would fit both | take one out, or name different methods`,
	}},
	{"a clash of roots", onRoute(`GET /", "GET /`), []string{
		`endpoints/x/routes/1 | route "GET /" clashes with "GET /" of the endpoint "x": one request would fit both | take one out, or name different methods`,
	}},
	{says: "no clash", doc: onRoute(`* /things", "HEAD /things", "GET /things/**", "GET /things/*", "GET /things/x", "PUT,POST /things`)},
}

var replyMistakes = []mistake{
	{"no name", minimal + `replies { code: "x" }`, []string{
		"replies/ | \"\" is no reason, no status and not `default` | " + writeReply,
	}},
	{"a reason that isn't one", minimal + `replies { name: "SCOPE_MISING" code: "x" }`, []string{
		"replies/SCOPE_MISING | \"SCOPE_MISING\" is no reason, no status and not `default` | did you mean \"SCOPE_MISSING\"?",
	}},
	{"a reason in small letters", minimal + `replies { name: "scope_missing" code: "x" }`, []string{
		"replies/scope_missing | \"scope_missing\" is no reason, no status and not `default` | did you mean \"SCOPE_MISSING\"?",
	}},
	{"a reason that allows", minimal + `replies { name: "ALLOWED" code: "x" }`, []string{
		"replies/ALLOWED | \"ALLOWED\" is no reason, no status and not `default` | " + writeReply,
	}},
	{"a status that is no refusal's", minimal + `replies { name: "404" code: "x" }`, []string{
		"replies/404 | \"404\" is no reason, no status and not `default` | did you mean \"401\"?",
	}},
	{"one of a list", minimal + `replies { name: "401, 4O3" code: "x" }`, []string{
		"replies/401, 4O3 | \"4O3\" is no reason, no status and not `default` | did you mean \"403\"?",
	}},
	{"a comma at the end", minimal + `replies { name: "401," code: "x" }`, []string{
		"replies/401, | \"\" is no reason, no status and not `default` | " + writeReply,
	}},
	{"twice", minimal + `replies { name: "401" code: "x" } replies { name: "401" code: "y" }`, []string{
		"replies/401 | the reply to 401 is given twice | say it once",
	}},
	{"twice in one list", minimal + `replies { name: "401, 403 ,401" code: "x" }`, []string{
		"replies/401, 403 ,401 | the reply to 401 is given twice | say it once",
	}},
	{"default twice", minimal + `replies { name: "default" code: "x" } replies { name: "503,default" code: "y" }`, []string{
		"replies/503,default | the reply to default is given twice | say it once",
	}},
	{"a refusal as an outage", minimal + `replies { name: "SCOPE_MISSING" status: 503 }`, []string{
		"replies/SCOPE_MISSING/status | SCOPE_MISSING can't be answered with 503 | " + stayInClass,
	}},
	{"a refusal as a success", minimal + `replies { name: "SCOPE_MISSING" status: 200 }`, []string{
		"replies/SCOPE_MISSING/status | SCOPE_MISSING can't be answered with 200 | " + stayInClass,
	}},
	{"a refusal as a redirect", minimal + `replies { name: "KEY_MISSING" status: 302 }`, []string{
		"replies/KEY_MISSING/status | KEY_MISSING can't be answered with 302 | " + stayInClass,
	}},
	{"an outage as a refusal", minimal + `replies { name: "NOT_READY" status: 403 }`, []string{
		"replies/NOT_READY/status | NOT_READY can't be answered with 403 | " + stayInClass,
	}},
	{"no status at all", minimal + `replies { name: "NOT_READY" status: 5030 }`, []string{
		"replies/NOT_READY/status | NOT_READY can't be answered with 5030 | " + stayInClass,
	}},
	{says: "within the class", doc: minimal + `replies { name: "SCOPE_MISSING" status: 499 } replies { name: "KEY_MISSING" status: 400 } replies { name: "503" status: 500 } replies { name: "NOT_READY" status: 599 }`},
	{"a status for all", minimal + `replies { name: "default" status: 404 }`, []string{
		"replies/default/status | REPLICA_STALE can't be answered with 404 | " + stayInClass,
	}},
	{"a header that is ours to set", minimal + `replies { name: "401" headers { key: "WWW-Authenticate" value: "Basic" } headers { key: "cache-control" value: "public" } headers { key: "Retry-After" value: "1" } }`, []string{
		`replies/401/headers/Retry-After | a reply can't set "Retry-After" (Latchkey sets it as RFC 6750 and RFC 9110 ask) | use another header`,
		`replies/401/headers/WWW-Authenticate | a reply can't set "WWW-Authenticate" (Latchkey sets it as RFC 6750 and RFC 9110 ask) | use another header`,
		`replies/401/headers/cache-control | a reply can't set "cache-control" (Latchkey sets it as RFC 6750 and RFC 9110 ask) | use another header`,
	}},
	{"a header with a meaning", minimal + `replies { name: "401" headers { key: "Content-Length" value: "1" } }`, []string{
		`replies/401/headers/Content-Length | a reply can't set "Content-Length" (this header has a meaning of its own) | use another header`,
	}},
	{"an identity header", minimal + `replies { name: "401" headers { key: "x-latchkey-tenant" value: "1" } }`, []string{
		`replies/401/headers/x-latchkey-tenant | a reply can't set "x-latchkey-tenant" (these headers belong to Latchkey and Envoy) | use another header`,
	}},
	{"a header that can't be", minimal + `replies { name: "401" headers { key: "x a" value: "1" } }`, []string{
		`replies/401/headers/x a | a reply can't set "x a" (a header's name is made of a-z, 0-9, - and _) | use another header`,
	}},
	{"a line break in a header", minimal + `replies { name: "401" headers { key: "x-a" value: "a\r\nb\x00" } }`, []string{
		"replies/401/headers/x-a | the value of a header can't hold byte 0xd | use printable ASCII",
	}},
	{"beyond ASCII in a header", minimal + `replies { name: "401" headers { key: "x-a" value: "\x7f" } }`, []string{
		"replies/401/headers/x-a | the value of a header can't hold byte 0x7f | use printable ASCII",
	}},
	{"a header twice", minimal + `replies { name: "401" headers { key: "x-a" value: "1" } headers { key: "X-A" value: "2" } }`, []string{
		"replies/401/headers/x-a | the header x-a is set twice | say it once",
	}},
	{"a header in two spellings", minimal + `replies { name: "401" headers { key: "X-A" value: "1" } headers { key: "X-a" value: "2" } }`, []string{
		"replies/401/headers/X-a | the header x-a is set twice | say it once",
	}},
	{"a line break in a message in a header", minimal + `replies { name: "401" message: "a\nb" headers { key: "x-a" value: "<{message}>" } }`, []string{
		`replies/401 | the header x-a takes in "a\nb", and a header holds printable ASCII only | `,
	}},
	{"a header that takes in another reply's message", minimal + `replies { name: "default" headers { key: "x-a" value: "{message}" } } replies { name: "401" message: "nö" } replies { name: "KEY_REVOKED" message: "nö!" }`, []string{
		`replies/401 | the reply to KEY_MISSING: the header x-a takes in "nö", and a header holds printable ASCII only | `,
		`replies/KEY_REVOKED | the reply to KEY_REVOKED: the header x-a takes in "nö!", and a header holds printable ASCII only | `,
	}},
	{"a placeholder that isn't one, in a body", minimal + `replies { name: "default" body { array { items { text: "{code}" } items { text: "a {mesage} b" } } } } replies { name: "SCOPE_MISSING" code: "x" }`, []string{
		"replies/default | {mesage} is not a placeholder here: " + thereAre + " | ",
	}},
	{"in a message", minimal + `replies { name: "default" message: "{mesage}" }`, []string{
		"replies/default | {mesage} is not a placeholder here: there are {request_id}, {key.environment} and {request.environment} | ",
	}},
	{"in a message, a word for itself", minimal + `replies { name: "401" message: "{code}" }`, []string{
		"replies/401 | {code} is not a placeholder here: there are {request_id}, {key.environment} and {request.environment} | ",
	}},
	{"in a code", minimal + `replies { name: "401" code: "{x}" }`, []string{
		"replies/401 | {x} is not a placeholder here: there are {request_id}, {key.environment} and {request.environment} | ",
	}},
	{"in a header", minimal + `replies { name: "401" headers { key: "x-a" value: "{request.id}" } }`, []string{
		"replies/401 | {request.id} is not a placeholder here: " + thereAre + " | ",
	}},
	{"in two replies", minimal + `replies { name: "401" message: "{x}" } replies { name: "403" message: "{x}" }`, []string{
		"replies/401 | {x} is not a placeholder here: there are {request_id}, {key.environment} and {request.environment} | ",
		"replies/403 | {x} is not a placeholder here: there are {request_id}, {key.environment} and {request.environment} | ",
	}},
	{"a value that isn't JSON", minimal + `replies { name: "401" body { object { members { name: "a" value { literal: "yes" } } } } }`, []string{
		`replies/401 | "yes" is not a JSON value: write a number, true, false, null, or text in quotes | `,
	}},
}
