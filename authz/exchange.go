package authz

import (
	"sync"
)

// exchange is one check from bytes to bytes, with all the memory that it
// needs. It is taken from a pool and goes back to it once the answer is handed
// over, and nothing of it may be kept.
type exchange struct {
	message  []byte // the CheckRequest
	request  Request
	decision decision
	answer   answer
	out      []byte // the CheckResponse

	observation Observation
}

const (
	// leastOut is what gRPC takes for worth pooling, and more than most answers.
	leastOut = 2 << 10
	// mostKept bounds what one exchange holds while nobody uses it, so that a few
	// large requests don't decide how much memory the process keeps.
	mostKept = 64 << 10
)

var exchanges = sync.Pool{New: func() any {
	return &exchange{out: make([]byte, 0, leastOut)}
}}

func newExchange() *exchange { return exchanges.Get().(*exchange) }

// release gives the exchange back.
func (x *exchange) release() {
	x.reset()
	if x.kept() <= mostKept {
		exchanges.Put(x)
	}
}

// reset empties the exchange and keeps its memory. It forgets what it points
// to: a policy or a key that has been replaced isn't kept alive by it.
func (x *exchange) reset() {
	x.request.reset()
	x.decision.reset()
	x.observation = Observation{}
	clear(x.answer.headers)
	clear(x.answer.remove)
	x.answer.refuse()
	x.message, x.out = x.message[:0], x.out[:0]
}

// kept is about how much memory an exchange holds.
func (x *exchange) kept() int {
	const stringSize, headerSize = 16, 40
	r, a := &x.request, &x.answer
	return cap(x.message) + cap(x.out) + cap(r.room) +
		headerSize*(cap(r.headers.mapped)+cap(r.headers.listed)) + stringSize*(2*cap(a.headers)+cap(a.remove)+cap(x.decision.reached))
}
