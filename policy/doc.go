// Package policy is what a request needs: a policy document compiled to one
// immutable value that answers, without allocating, whose host this is, which
// endpoint a method and path mean, which key type a token has the form of,
// what a key holds now, and how a refusal is spelt.
//
// Compile checks everything that can be wrong with a document, so that the
// check path meets only valid things. A *Policy and a *Set never change and
// are safe for concurrent use.
//
// The language is described in docs/policy.md; its words in one example:
//
//	name: demo                                      # realm, x-latchkey-policy
//	hosts: [api.demo.example]                       # whose requests these are
//	environments: [live, test]                      # in tokens, never crossed
//	tenants:
//	  org: {named_by: [header x-org-id], roles: {owner: {permissions: [doc.write]}}}
//	permissions: [doc.write]
//	scopes:
//	  docs:read: {}
//	  docs:write: {requires: [doc.write]}           # the ceiling
//	key_types:
//	  secret:
//	    format: sk_{environment}_{secret:32}
//	    owner: org
//	    grantable: [docs:read, docs:write]          # or scopes: … or role: {}
//	    ceiling: creator
//	endpoints:
//	  Read documents:  {scopes: [docs:read],  routes: [GET /v1/docs, "GET /v1/docs/{id}"]}
//	  Write documents: {scopes: [docs:write], routes: ["POST,PUT /v1/docs/{id}"]}
//	replies:
//	  SCOPE_MISSING: {body: {error: "{message}"}}
package policy
