package serve

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Seldom returns a log that tells a line at most every ten seconds, and with it
// how many came since the last one. It is for what peers bring about: who floods
// the process mustn't flood its log.
func Seldom(log *slog.Logger) *slog.Logger {
	return slog.New(&seldom{Handler: log.Handler(), state: &seldomState{}})
}

type seldom struct {
	slog.Handler
	state *seldomState
}

type seldomState struct {
	came atomic.Uint64 // and not told yet
	told atomic.Int64  // when, in nanoseconds since the epoch
}

// Handle implements slog.Handler.
func (s *seldom) Handle(ctx context.Context, r slog.Record) error {
	s.state.came.Add(1)
	now, told := time.Now().UnixNano(), s.state.told.Load()
	if now-told < int64(toldEvery) || !s.state.told.CompareAndSwap(told, now) {
		return nil
	}
	r = r.Clone()
	r.AddAttrs(slog.Uint64("times", s.state.came.Swap(0)))
	return s.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (s *seldom) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &seldom{s.Handler.WithAttrs(attrs), s.state}
}

// WithGroup implements slog.Handler.
func (s *seldom) WithGroup(name string) slog.Handler {
	return &seldom{s.Handler.WithGroup(name), s.state}
}
