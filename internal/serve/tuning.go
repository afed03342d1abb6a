package serve

import "google.golang.org/grpc"

// streamWorkers answer calls in goroutines that stay, with stacks that have
// grown already.
const streamWorkers = 64

func tuning() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.NumStreamWorkers(streamWorkers)}
}
