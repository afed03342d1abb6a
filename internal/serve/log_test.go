package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestTokensStayOutOfTheLog(t *testing.T) {
	const token = "sk_live_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1"
	var out bytes.Buffer
	log := NewLog(&out, slog.LevelDebug)
	log.Info("created "+token, "text", token, "token", "short", "Authorization", "Basic eDp5",
		"error", errors.New("cannot use "+token), slog.Group("inner", "text", "a "+token+" b"), "list", []string{"a", token})
	log.With("key", token).Debug("again")
	if strings.Contains(out.String(), "aB3dE5") || strings.Contains(out.String(), "short") || strings.Contains(out.String(), "eDp5") {
		t.Errorf("a secret is in the log:\n%s", out.String())
	}
}

func TestOrdinaryTextStaysInTheLog(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(&out, slog.LevelInfo)
	const id = "key_0123456789abcdef0123456789abcdef"
	log.Debug("not shown")
	log.Info("policy in use", "id", id, "ids", []string{id, "team:t_1"}, "policy", "kodey", "revision", 7, "error", errors.New("no such file"))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q: want one line of JSON", err, out.String())
	}
	for name, want := range map[string]any{"msg": "policy in use", "id": id, "policy": "kodey", "revision": 7.0, "error": "no such file", "level": "INFO"} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	if ids := fmt.Sprint(line["ids"]); ids != "["+id+" team:t_1]" {
		t.Errorf("ids are %s", ids)
	}
}

func TestLogLevels(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"": slog.LevelInfo, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		if got, err := ParseLevel(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := ParseLevel("loud"); err == nil {
		t.Error("want an error for an unknown level")
	}
}

// The level of a log that is in use may change, also of those that were made of it.
func TestLevelOfALogChanges(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := NewLog(&out, level)
	child := Seldom(log.With("part", "a"))
	child.Debug("unheard")
	level.Set(slog.LevelDebug)
	child.Debug("heard")
	level.Set(slog.LevelError)
	log.Info("too late")
	if got := out.String(); strings.Contains(got, "unheard") || !strings.Contains(got, "heard") || strings.Contains(got, "too late") {
		t.Errorf("the log is %s", got)
	}
}
