package serve

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// NewLog returns a log of JSON lines, from the given level on, which may be a
// slog.LevelVar. It is the last of several safeguards against tokens in logs: what
// looks like one, or is named like one, is left out.
func NewLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}))
}

// ParseLevel reads a level: debug, info, warn or error; empty is info.
func ParseLevel(text string) (slog.Level, error) {
	switch text {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is no log level: write debug, info, warn or error", text)
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
		case []string:
			clean := make([]string, len(v))
			for i, text := range v {
				clean[i] = Redact(text)
			}
			a.Value = slog.AnyValue(clean)
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
