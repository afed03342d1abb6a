// Package admin changes keys, the directory and the policies, for people and
// programs that are not keys.
//
// # Who calls
//
// Every operation takes a Caller. Its Operator is the operating identity: the
// user at the other end of the unix socket, or the name in a client
// certificate. Its Acting is the principal on whose behalf it is done, and
// empty for the operator. Management rules bind the acting principal and never
// the operator. No API key opens this API: an Authorization header is refused.
//
// # How a write is made
//
// Look at one revision, decide, commit if what was looked at is unchanged,
// else look again. Deciding is pure: World.Draft and World.Permit need neither
// a store nor a network, so that `latchkey policy test` decides by the very
// same code.
//
// # Who did it
//
// Each write is recorded in the store with operator, acting principal, action
// and note, and told in one line of Options.Log once it is durable. LogService
// lists what the store still has of it, for the operator.
//
// # Errors
//
// Operations return errors of this package and of package key; status.go alone
// knows what they are on the wire. Each says what is wrong and what to do.
// None quotes a token, also where somebody wrote one into a wrong field.
//
// A Server is safe for concurrent use and starts no goroutine.
package admin
