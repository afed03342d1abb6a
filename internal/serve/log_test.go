package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestTokensStayOutOfTheLog(t *testing.T) {
	const token = "sk_live_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1"
	var out bytes.Buffer
	log, err := NewLog(&out, "debug")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("created "+token, "text", token, "token", "short", "Authorization", "Basic eDp5",
		"error", errors.New("cannot use "+token), slog.Group("inner", "text", "a "+token+" b"))
	log.With("key", token).Debug("again")
	if strings.Contains(out.String(), "aB3dE5") || strings.Contains(out.String(), "short") || strings.Contains(out.String(), "eDp5") {
		t.Errorf("a secret is in the log:\n%s", out.String())
	}
}

func TestOrdinaryTextStaysInTheLog(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLog(&out, "")
	if err != nil {
		t.Fatal(err)
	}
	const id = "key_0123456789abcdef0123456789abcdef"
	log.Debug("not shown")
	log.Info("policy in use", "id", id, "policy", "kodey", "revision", 7, "error", errors.New("no such file"))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q: want one line of JSON", err, out.String())
	}
	for name, want := range map[string]any{"msg": "policy in use", "id": id, "policy": "kodey", "revision": 7.0, "error": "no such file", "level": "INFO"} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
}

func TestLogLevels(t *testing.T) {
	for _, level := range []string{"", "debug", "info", "warn", "error"} {
		if _, err := NewLog(&bytes.Buffer{}, level); err != nil {
			t.Errorf("%q: %v", level, err)
		}
	}
	if _, err := NewLog(&bytes.Buffer{}, "loud"); err == nil {
		t.Error("want an error for an unknown level")
	}
}
