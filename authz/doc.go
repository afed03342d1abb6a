// Package authz answers Envoy's question about one request (ext_authz,
// envoy.service.auth.v3.Authorization/Check). It is the only package that
// knows ext_authz.
//
// A check goes down once and up once, from bytes to bytes, in one exchange
// whose memory is used again: decode walks the CheckRequest on the wire, keeps
// what a decision needs and validates all the rest; decide holds the Request
// against one View, top to bottom in the order of the reasons; respond turns
// the Verdict into an answer, and append writes that as a CheckResponse. decide
// does no I/O and has no state: Explain runs the very same code and keeps a
// record of each step.
//
// Nothing is allocated for a check, and so its text is the memory that the
// message was copied to (text.go): what outlives the check must be a copy.
// codec.go is the only place where gRPC learns of this; Envoy's generated types
// are the reference in the tests, which hold every message and every answer
// against them.
//
// Deny is the default everywhere: every answer begins as a refusal, because
// Envoy takes an empty CheckResponse for an allow.
package authz
