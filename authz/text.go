package authz

import "github.com/latchkey/latchkey/internal/alias"

// text is bytes of one check as a string, without a copy of them: of its
// message, or of its room. They are written once and read until the check is
// answered, and then they are another's. So nothing that outlives the check may
// keep a text: a log, a metric, an explanation, or what a View is made of.
func text(b []byte) string { return alias.String(b) }

// room is memory for the text that a check makes. What is written to it stays
// where it is until the room is emptied.
type room []byte

// since returns what was written after the first n bytes.
func (m *room) since(n int) string { return text((*m)[n:]) }
