// Package policyfile reads the policies that people write: YAML into the
// policy document, with every mistake of every stage at its place in the
// file, the management rules in CEL, the JSON Schema for editors and the
// matrix that the documentation of an API prints.
//
// Only tools and the process that owns a store link it: what answers requests
// needs package policy alone. The language is described in docs/policy.md.
package policyfile
