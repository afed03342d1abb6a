package serve

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// NewLog returns a log of JSON lines, from the given level on (debug, info,
// warn or error; empty for info). It is the last of several safeguards against
// tokens in logs: what looks like one, or is named like one, is left out.
func NewLog(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	switch level {
	case "debug":
		l = slog.LevelDebug
	case "", "info":
	case "warn":
		l = slog.LevelWarn
	case "error":
		l = slog.LevelError
	default:
		return nil, fmt.Errorf("%q is no log level: write debug, info, warn or error", level)
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l, ReplaceAttr: redactAttr})), nil
}

const redacted = "[redacted]"

// tokenLike matches what tokens of most formats look like: a prefix, perhaps an
// environment, and a long secret. Keys' public names have that form too.
var (
	tokenLike = regexp.MustCompile(`[A-Za-z][A-Za-z0-9]{0,15}_(?:[a-z]+_)?[A-Za-z0-9]{22,}`)
	publicID  = regexp.MustCompile(`^key_[0-9a-f]{32}$`)
)

func redactAttr(_ []string, a slog.Attr) slog.Attr {
	switch strings.ToLower(a.Key) {
	case "token", "secret", "authorization", "credential", "password", "cookie":
		return slog.String(a.Key, redacted)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Redact(a.Value.String()))
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			a.Value = slog.StringValue(Redact(v.Error()))
		case fmt.Stringer:
			a.Value = slog.StringValue(Redact(v.String()))
		}
	}
	return a
}

// Redact returns text without what looks like a token in it.
func Redact(text string) string {
	return tokenLike.ReplaceAllStringFunc(text, func(found string) string {
		if publicID.MatchString(found) {
			return found
		}
		return redacted
	})
}
