package authz

import (
	"bytes"
	"context"
	"log/slog"
)

// recordingHandler keeps records and writes them only when it is asked, as a
// log that writes in the background does.
type recordingHandler struct{ records []slog.Record }

func newDebugLog(h *recordingHandler) *slog.Logger { return slog.New(h) }

func (*recordingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *recordingHandler) Handle(_ context.Context, r slog.Record) error {
	h.records = append(h.records, r)
	return nil
}

func (h *recordingHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *recordingHandler) WithGroup(string) slog.Handler      { return h }

func (h *recordingHandler) text() string {
	var b bytes.Buffer
	to := slog.NewTextHandler(&b, nil)
	for _, r := range h.records {
		_ = to.Handle(context.Background(), r)
	}
	return b.String()
}
