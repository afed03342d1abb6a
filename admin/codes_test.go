package admin

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"connectrpc.com/connect"
)

// TestCodesAreDocumented: the catalogue of errors has each code that the API
// answers with, and no other.
func TestCodesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| \\d{3} \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, row[1])
	}
	// Of what isn't an error of ours, and of what the guard turns away.
	all := []string{connect.CodeInternal.String(), connect.CodeUnimplemented.String()}
	for _, c := range codes {
		all = append(all, c.code.String())
	}
	slices.Sort(all)
	slices.Sort(documented)
	if all = slices.Compact(all); !slices.Equal(documented, all) {
		t.Errorf("docs/errors.md has the codes %v, there are %v", documented, all)
	}
}
