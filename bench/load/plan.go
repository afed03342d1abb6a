package load

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Protocol is what a server is spoken to in.
type Protocol int

// The protocols.
const (
	GRPC  Protocol = iota // Check of ext_authz, cleartext HTTP/2
	HTTP1                 // HTTP/1.1 with connections that are kept
)

// Plan is one run of load.
type Plan struct {
	Protocol    Protocol
	Network     string // "tcp" or "unix"
	Address     string
	Connections int

	// InFlight is how many requests are under way at any time, over all
	// connections; a connection of HTTP/1.1 has one. Rate, if it isn't 0, is how
	// many go in a second instead.
	InFlight int
	Rate     int

	// Warmup is driven before Duration and not measured; unless it is 0, at least
	// until there is an answer.
	Warmup, Duration time.Duration

	// Requests are sent in turn, from the one with number First on: of GRPC each
	// is an encoded CheckRequest, of HTTP1 a whole request. Want is the HTTP
	// status that each must be answered, where a check that allows counts as 200.
	Requests [][]byte
	Want     []int
	First    int

	// Begin and End, unless nil, are called where the measured part does.
	Begin, End func() error
}

// Result is what came of the measured part of a plan.
type Result struct {
	Answers    int // within Elapsed
	All        int // before and after too: each was as expected
	Elapsed    time.Duration
	Latency    *hdrhistogram.Histogram // in nanoseconds
	Unanswered int                     // of an open loop, long after the end: they are in Latency as they stood then
}

// AnswerError is an answer that isn't the expected one.
type AnswerError struct {
	Request   int // its number
	Got, Want int // HTTP status
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("request %d was answered %d and must be answered %d", e.Request, e.Got, e.Want)
}

// PerSecond is how many answers came in a second.
func (r *Result) PerSecond() float64 { return float64(r.Answers) / r.Elapsed.Seconds() }

// Latencies are kept from a microsecond to a minute, in three digits.
const (
	shortest = int64(time.Microsecond)
	longest  = int64(time.Minute)
	digits   = 3
)

// longestCheck fits into one frame of HTTP/2 as every server takes it.
const longestCheck = 16384 - grpcPrefix

func (p *Plan) check() error {
	switch {
	case len(p.Requests) == 0 || len(p.Want) != len(p.Requests):
		return fmt.Errorf("load: %d requests with %d expected answers", len(p.Requests), len(p.Want))
	case p.Connections < 1:
		return errors.New("load: no connections")
	case p.Rate == 0 && p.InFlight < p.Connections:
		return fmt.Errorf("load: %d in flight over %d connections", p.InFlight, p.Connections)
	case p.Protocol == HTTP1 && p.Rate == 0 && p.InFlight != p.Connections:
		return fmt.Errorf("load: %d in flight over %d connections of HTTP/1.1, which have one each", p.InFlight, p.Connections)
	case p.Protocol == GRPC && slices.ContainsFunc(p.Requests, func(q []byte) bool { return len(q) > longestCheck }):
		return fmt.Errorf("load: a request is longer than %d bytes", longestCheck)
	}
	return nil
}
