package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// TestDocsDecisionLine compares the line that the document shows with that of a real process.
func TestDocsDecisionLine(t *testing.T) {
	k := serveKodey(t, "--decision-log decisions.ndjson")
	k.ask(t, "api.kodey.example", "/v1/agents", "")
	k.end()
	text, err := os.ReadFile(filepath.Join(k.dir, "decisions.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^    (\{"time".*\})$`).FindStringSubmatch(readDocument(t, "docs/observability.md"))
	if shown == nil {
		t.Fatal("docs/observability.md shows no line")
	}
	var document, real map[string]any
	if err := json.Unmarshal([]byte(shown[1]), &document); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &real); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, anew := range []string{"time", "request_id", "revision", "took_us"} {
		if document[anew] == nil || real[anew] == nil {
			t.Errorf("%s is missing", anew)
		}
		delete(document, anew)
		delete(real, anew)
	}
	if !maps.Equal(document, real) {
		t.Errorf("docs/observability.md shows %v, a process writes %v", document, real)
	}
	// And in this order.
	order := regexp.MustCompile(`"(\w+)":`)
	if a, b := order.FindAllString(shown[1], -1), order.FindAllString(strings.TrimSpace(string(text)), -1); !slices.Equal(a, b) {
		t.Errorf("docs/observability.md shows %v, a process writes %v", a, b)
	}
}

// TestDocsWrittenLine compares the line of a write, and the table of its fields, with what a process writes.
func TestDocsWrittenLine(t *testing.T) {
	var out bytes.Buffer
	db := storagetest.New(t, storageOptions(&admin.Compiler{}))
	server := admin.New(admin.Options{Ledger: db, Log: serve.NewLog(&out, slog.LevelInfo)})
	if _, err := server.ApplyFile(t.Context(), "process:uid:0", "policy.yaml", []byte(readDocument(t, "examples/kodey/policy.yaml")), false); err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^    (\{"time".*"msg":"written".*\})$`).FindStringSubmatch(readDocument(t, "docs/observability.md"))
	if shown == nil {
		t.Fatal("docs/observability.md shows no line of a write")
	}
	order := func(text string) (fields []string) {
		for _, m := range regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(text, -1) {
			fields = append(fields, m[1])
		}
		return fields
	}
	if a, b := order(shown[1]), order(out.String()); !json.Valid([]byte(shown[1])) || !slices.Equal(a, b) {
		t.Errorf("docs/observability.md shows %v, a process writes %v", a, b)
	}
	var told []string
	for _, row := range tableOf(t, "docs/observability.md", "field of a write") {
		told = append(told, strings.Split(row[0], ", ")...)
	}
	if fields := order(out.String())[3:]; !slices.Equal(told, fields) {
		t.Errorf("docs/observability.md tells of %v, a process writes %v", told, fields)
	}
}
