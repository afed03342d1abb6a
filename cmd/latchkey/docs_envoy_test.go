package main

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/envoyconf/lint"
	"github.com/latchkey/latchkey/envoyconf/lint/linttest"
)

const envoyDocument = "docs/envoy.md"

// TestDocsEnvoyRules compares the table of rules with those that there are.
func TestDocsEnvoyRules(t *testing.T) {
	var documented, all []string
	for _, row := range tableOf(t, envoyDocument, "rule") {
		documented = append(documented, "| "+strings.Join(row, " | ")+" |")
	}
	for _, r := range lint.Rules() {
		cells := []string{r.ID, string(r.Severity), r.Opens, r.Why, r.Fix}
		all = append(all, "| "+strings.ReplaceAll(strings.Join(cells, " | "), "`", "")+" |")
	}
	if strings.Join(documented, "\n") != strings.Join(all, "\n") {
		t.Errorf("%s has the rules\n%s\nwant\n%s", envoyDocument, strings.Join(documented, "\n"), strings.Join(all, "\n"))
	}
}

// TestDocsEnvoyHoles: what the document says was seen to get through is what
// the tests make happen.
func TestDocsEnvoyHoles(t *testing.T) {
	holes, err := linttest.Holes()
	if err != nil {
		t.Fatal(err)
	}
	var documented, all []string
	for _, row := range tableOf(t, envoyDocument, "found by") {
		documented = append(documented, strings.Join(row, " | "))
	}
	for _, h := range holes {
		if h.Seen == "" {
			continue
		}
		var rules []string
		for _, want := range h.Want {
			rules = append(rules, strings.Fields(want)[1])
		}
		all = append(all, strings.Join([]string{strings.Join(rules, ", "), h.Story, h.Seen}, " | "))
	}
	if strings.Join(documented, "\n") != strings.Join(all, "\n") {
		t.Errorf("%s says\n%s\nwant\n%s", envoyDocument, strings.Join(documented, "\n"), strings.Join(all, "\n"))
	}
}
