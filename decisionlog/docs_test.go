package decisionlog

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// documents has the fields that docs/observability.md has a row for, in order.
var documents = sync.OnceValues(func() (fields []string, err error) {
	text, err := os.ReadFile("../docs/observability.md")
	if err != nil {
		return nil, err
	}
	in := false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		switch {
		case len(cells) < 3:
			in = false
		case strings.TrimSpace(cells[1]) == "field":
			in = true
		case in && !strings.HasPrefix(cells[1], "---"):
			fields = append(fields, strings.Trim(cells[1], " `"))
		}
	}
	return fields, nil
})

func documented(tb testing.TB) map[string]bool {
	tb.Helper()
	fields, err := documents()
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]bool{}
	for _, f := range fields {
		all[f] = true
	}
	return all
}

// TestFieldsAreDocumented, and none that there isn't.
func TestFieldsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("line.go")
	if err != nil {
		t.Fatal(err)
	}
	fields, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	if len(fields) < 10 {
		t.Fatalf("docs/observability.md has the fields %q", fields)
	}
	for _, f := range fields {
		if !strings.Contains(string(source), `"`+f+`"`) {
			t.Errorf("docs/observability.md has the field %s, which no line has", f)
		}
	}
	if slices.Contains(fields, "path") || slices.Contains(fields, "query") {
		t.Error("a line tells what a client wrote")
	}
}
