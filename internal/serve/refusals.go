package serve

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// limit is one of the limits, as the metric and the log name it.
type limit string

const (
	connectionsLimit limit = "connections"
	messageLimit     limit = "message_size"
	waitingLimit     limit = "waiting_calls"
	timeLimit        limit = "message_time"
	fragmentsLimit   limit = "fragments"
	watchesLimit     limit = "watches"
	readingLimit     limit = "reading_time"
)

// remedies say what to do about each limit.
var remedies = map[limit]string{
	connectionsLimit: "see who connects: Envoy needs a connection for each of its worker threads, and one for 100 checks that are under way",
	messageLimit:     "lower max_request_headers_kb in Envoy, or list fewer allowed_headers",
	waitingLimit:     "see who connects: Envoy sends messages whole",
	timeLimit:        "see who connects: Envoy sends messages whole",
	fragmentsLimit:   "see who connects: Envoy sends messages whole",
	watchesLimit:     "ask for the health by Check",
	readingLimit:     "see whether who connects still runs",
}

// toldEvery is how often the log tells of one limit at most: who floods the
// process mustn't flood its log.
const toldEvery = 10 * time.Second

// refusals counts what limits have ended, and tells of it now and then.
type refusals struct {
	counter *prometheus.CounterVec
	log     atomic.Pointer[slog.Logger]
	of      map[limit]*refused // of every limit; never written to
}

type refused struct {
	count prometheus.Counter
	since atomic.Uint64 // refused and not told yet
	told  atomic.Int64  // when, in nanoseconds since the epoch
}

func newRefusals() *refusals {
	r := &refusals{of: map[limit]*refused{}, counter: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "latchkey_refused_total",
		Help: "Calls and connections of the check listener that were ended because a limit was reached, by limit.",
	}, []string{"limit"})}
	for l := range remedies {
		r.of[l] = &refused{count: r.counter.WithLabelValues(string(l))}
	}
	return r
}

// add notes that a limit has ended something of a peer's.
func (r *refusals) add(l limit, what string, max int, attrs ...any) {
	of := r.of[l]
	of.count.Inc()
	of.since.Add(1)
	now, told := time.Now().UnixNano(), of.told.Load()
	log := r.log.Load()
	if log == nil || now-told < int64(toldEvery) || !of.told.CompareAndSwap(told, now) {
		return
	}
	log.Warn("a limit of the check listener was reached: "+what, append([]any{
		"limit", string(l), "max", max, "times", of.since.Swap(0), "remedy", remedies[l],
	}, attrs...)...)
}
