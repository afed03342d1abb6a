package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
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
