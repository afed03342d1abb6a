package serve

import "google.golang.org/grpc"

// streamWorkers answer checks in goroutines that stay, with stacks that have
// grown already: a goroutine for each check costs half as much again. Fewer than
// are usually in flight help little (32: 1.2 times as much CPU as 64), more no
// further; what comes when all are busy gets a goroutine of its own.
const streamWorkers = 64

// tuning are the options that make checks cheap. docs/performance.md has what
// was measured of them, and of those that are left as they are: buffers of
// another size for reading and writing, larger windows and waiting for handlers
// change nothing that can be measured, and no buffers cost a fifth to a half.
// Buffers for writing are shared between connections without being asked for.
//
// Not used are a stats handler, which costs about a quarter and is there only
// where checks are traced, and interceptors of
// unary calls: what watches over them is in RegisterService.
func tuning() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.NumStreamWorkers(streamWorkers)}
}
