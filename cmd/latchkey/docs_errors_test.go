package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/policy"
)

const errorsDocument = "docs/errors.md"

var (
	reasonHeading = regexp.MustCompile("(?m)^### `([A-Z_]+)`$")
	saysStatus    = regexp.MustCompile(`\A\n\n\*\*(\d{3}|Allowed)\.\*\* `)
)

// TestDocsErrors: each reason has its section, in the order of the decision, which
// says its status, what either side does, and how explain shows it.
func TestDocsErrors(t *testing.T) {
	text := readDocument(t, errorsDocument)
	found := reasonHeading.FindAllStringSubmatchIndex(text, -1)
	var documented, all []string
	for i, at := range found {
		name := text[at[2]:at[3]]
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		section := text[at[1]:end]
		status := saysStatus.FindStringSubmatch(section)
		if status == nil {
			t.Errorf("%s doesn't begin what it says of %s with its status", errorsDocument, name)
			continue
		}
		documented = append(documented, name+" "+status[1])
		for _, part := range []string{"\n- **Client:** ", "\n- **Operator:** "} {
			if !strings.Contains(section, part) {
				t.Errorf("%s has no %q for %s", errorsDocument, strings.TrimSpace(part), name)
			}
		}
		if !regexp.MustCompile(`(?m)^([✓✗] [a-z ]+|allowed) +` + name + `\b`).MatchString(section) {
			t.Errorf("%s doesn't show the line by which explain tells %s", errorsDocument, name)
		}
	}
	for _, r := range policy.Reasons() {
		status := fmt.Sprint(r.Status())
		if r.Allows() {
			status = "Allowed"
		}
		all = append(all, r.String()+" "+status)
	}
	if !slices.Equal(documented, all) {
		t.Errorf("%s has\n%s\nwant\n%s", errorsDocument, strings.Join(documented, "\n"), strings.Join(all, "\n"))
	}
	if !strings.Contains(text, "`"+policy.Undecided.String()+"`") {
		t.Errorf("%s says nothing of %s", errorsDocument, policy.Undecided)
	}
}
