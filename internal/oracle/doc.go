// Package oracle decides, a second time and on its own, what the four example
// systems (kodey, cuneiform, spotzee, shortkit) answer to a request. It exists
// for tests: whatever Latchkey answers is compared with what this package
// answers, and a difference is a bug in one of the two.
//
// It is written from the vendors' documents and the contract, never from the
// product's code, and it reads no policy file: hosts, paths, key types, scopes,
// roles, ceilings and tenancy stand here as plain Go. It is deliberately not
// clever: no index, no compilation, no cache, one file for each subject.
//
// Where the documents leave a choice, the choice made is marked "Choice:" in a
// comment. Most of them lie inside the group of 401 reasons, which a client
// cannot tell apart anyway.
//
// A World is read only while it decides, so Decide may be called concurrently
// as long as nobody changes the World.
package oracle
