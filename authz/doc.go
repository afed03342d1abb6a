// Package authz answers Envoy's question about one request (ext_authz,
// envoy.service.auth.v3.Authorization/Check). It is the only package that
// knows ext_authz.
//
// A check goes down once and up once: newRequest reads the attributes and
// judges what two readers could read two ways; Decide holds the request
// against one View, top to bottom in the order of the reasons; respond turns
// the Verdict into a CheckResponse. Decide does no I/O and has no state:
// Explain runs the very same code and keeps a record of each step.
//
// Deny is the default everywhere: the one constructor of responses begins as
// a refusal, because Envoy takes an empty CheckResponse for an allow.
package authz
