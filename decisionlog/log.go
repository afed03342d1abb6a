// Package decisionlog writes decisions down, one line of JSON each: every
// denial, and a sample of what is allowed. It is for people and programs that
// ask later why a request was refused.
//
// A Log is an authz.Observer. On the check's goroutine a line is put together in
// memory, and that is all: a goroutine of its own writes what has gathered. Of
// what can't be written, because the disk is slow or nobody reads, lines are
// dropped and counted, and no check waits.
//
// A line holds nothing that a client wrote but the method, where it is a known
// one, and the request id, where no token could look like it (line.go).
package decisionlog

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/internal/serve"
)

// gatherTime is how long lines gather before they are written: a busy server
// writes many at once.
const gatherTime = 50 * time.Millisecond

// flushTime is how long what has gathered may take to be written once the
// process stops. Tests change it.
var flushTime = 2 * time.Second

// Log is a decision log. It is safe for concurrent use.
type Log struct {
	to      output
	allowed float64 // share of what is allowed that is written down
	buffer  *buffer
	torn    bool // what was written last is part of a line
	trouble *slog.Logger

	written, dropped prometheus.Counter
}

// output is what lines are written to. Write gets whole lines.
type output interface {
	Write(lines []byte) (int, error)
	Close() error
}

// New opens a decision log. Lines are written once Run runs. What goes wrong
// with it is told to the log of the process, every so often.
func New(o Options, process *slog.Logger) (*Log, error) {
	l := &Log{
		allowed: o.AllowSample, buffer: newBuffer(), trouble: serve.Seldom(process),
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_decision_log_written_total", Help: "Decisions that were written to the decision log.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_decision_log_dropped_total", Help: "Decisions that are missing in the decision log, because it was full or could not be written.",
		}),
	}
	if o.Path == "" {
		l.to = openStdout()
		return l, nil
	}
	f, err := openFile(o.Path, o.MaxSize, o.MaxFiles)
	if err != nil {
		return nil, err
	}
	l.to = f
	return l, nil
}

// Collectors returns the metrics of the log.
func (l *Log) Collectors() []prometheus.Collector {
	return []prometheus.Collector{l.written, l.dropped}
}

// lines are what lines are put together in.
var lines = sync.Pool{New: func() any {
	b := make([]byte, 0, 1<<10)
	return &b
}}

// Observe implements authz.Observer.
func (l *Log) Observe(_ context.Context, o *authz.Observation) {
	if o.Verdict.Reason.Allows() && !l.sampled() {
		return
	}
	line := lines.Get().(*[]byte)
	*line = appendLine((*line)[:0], o)
	if !l.buffer.add(*line) {
		l.dropped.Inc()
	}
	lines.Put(line)
}

// sampled reports whether one more that is allowed is written down.
func (l *Log) sampled() bool {
	return l.allowed >= 1 || l.allowed > 0 && rand.Float64() < l.allowed
}

// Run writes lines until the context ends, and then those that have come by
// then: observers have to be done before. It gives up an output that takes
// nothing for two seconds.
func (l *Log) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.writeUntil(ctx.Done())
	}()
	<-ctx.Done()
	select {
	case <-done:
		return l.to.Close()
	case <-time.After(flushTime):
		// Whatever is held up in it is left behind: it can't be interrupted.
		l.trouble.Error("the last lines of the decision log can't be written: its output takes nothing", "waited", flushTime.String())
		return nil
	}
}

func (l *Log) writeUntil(stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			l.write(l.buffer.take())
			return
		case <-l.buffer.some:
		}
		timer.Reset(gatherTime)
		select {
		case <-stop:
		case <-l.buffer.many:
		case <-timer.C:
		}
		l.write(l.buffer.take())
	}
}

// write writes lines, and counts what has become of them.
func (l *Log) write(data []byte) {
	if len(data) == 0 {
		return
	}
	all := bytes.Count(data, newline)
	if l.torn {
		// Whoever reads it line by line finds the next one whole.
		n, err := l.to.Write(newline)
		l.torn = n == 0
		if err != nil {
			l.fail(all, err)
			return
		}
	}
	n, err := l.to.Write(data)
	whole := bytes.Count(data[:n], newline)
	l.written.Add(float64(whole))
	if err != nil {
		l.torn = n > 0 && data[n-1] != '\n'
		l.fail(all-whole, err)
	}
}

func (l *Log) fail(lost int, err error) {
	l.dropped.Add(float64(lost))
	l.trouble.Error("the decision log can't be written: decisions are made all the same, and are missing there", "error", err)
}

var newline = []byte{'\n'}
