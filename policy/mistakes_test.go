package policy_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/policy"
)

// mistake is a broken document and all that is said about it, each as
// `path | message | remedy`, the path with slashes.
type mistake struct {
	says string
	doc  string
	want []string
}

// Remedies that stand in many rows.
const (
	writeSlug       = "write a letter, then a-z, 0-9, - and _, at most 63 characters"
	writeScope      = "write 1 to 128 of A-Z a-z 0-9 . _ ~ - :, other than all"
	writeName       = "write 1 to 128 of A-Z a-z 0-9 . _ ~ -"
	writeTitle      = "write 1 to 128 printable ASCII characters, no space at its ends"
	writeHost       = "write a name such as api.example.com or *.example.com"
	writeFormat     = "write a format such as sk_{environment}_{secret:32} or ak_{secret:32}{checksum}"
	writeRoute      = "write a route such as GET /v1/things/{id}"
	writeCredential = "write `Authorization: Bearer`, or a header such as x-api-key"
	writeReply      = "declare it, or use one of default, 401, 403, 503, HOST_UNKNOWN, REPLICA_STALE, NOT_READY, KEY_MISSING, KEY_AMBIGUOUS, KEY_MALFORMED, KEY_UNKNOWN, KEY_REVOKED, KEY_EXPIRED, KEY_DISABLED, PRINCIPAL_GONE, TENANT_SUSPENDED, PATH_AMBIGUOUS, ENDPOINT_UNKNOWN, ENVIRONMENT_MISMATCH, KEY_TYPE_NOT_ALLOWED, SCOPE_MISSING, PERMISSION_MISSING, TENANT_MISMATCH"
	stayInClass     = "stay in the reason's class: 4xx for a refusal, 503 and its like for an outage"
	thereAre        = "there are {code}, {message}, {reason}, {request_id}, {key.environment} and {request.environment}"
)

// mistakes are the tables of all subjects.
var mistakes = map[string][]mistake{
	"names":       nameMistakes,
	"hosts":       hostMistakes,
	"tenants":     tenantMistakes,
	"credentials": credentialMistakes,
	"types":       typeMistakes,
	"formats":     formatMistakes,
	"endpoints":   endpointMistakes,
	"routes":      routeMistakes,
	"places":      placeMistakes,
	"replies":     replyMistakes,
}

func lines(found policy.Problems) []string {
	var all []string
	for _, p := range found {
		all = append(all, strings.Join(p.Path, "/")+" | "+p.Message+" | "+p.Remedy)
	}
	return all
}

func TestMistakes(t *testing.T) {
	for subject, table := range mistakes {
		for _, tc := range table {
			t.Run(subject+"/"+tc.says, func(t *testing.T) {
				if got := lines(problems(t, tc.doc)); !slices.Equal(got, tc.want) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
				}
			})
		}
	}
}

// A document is told everything that is wrong with it, in the same order each time.
func TestAllMistakesAtOnce(t *testing.T) {
	const doc = `
		hosts: ["API.example", "API.example"]
		environments { name: "Live" }
		permissions: "all"
		scopes { name: "a b" implies: "nothing" requires: "nobody" }
		tenants { name: "org" parent: "top" named_by: "path org" roles { name: "r r" scopes: "raed" } }
		credentials: "cookie"
		endpoints { name: " x" scopes: "raed" routes: ["get /x", "GET /y/"] }
		endpoints { name: "y" }
		key_types { name: "K" format: "sk_{secret:32}" }
		replies { name: "TEAPOT" status: 418 headers { key: "Retry-After" value: "1" } }`
	got := problems(t, doc)
	want := []string{
		"name", "hosts/0", "hosts/1", "hosts/1", "environments/Live", "permissions/0", "scopes/a b", "scopes/a b/requires/0",
		"scopes/a b/implies/0", "tenants/org/parent/0", "tenants/org/roles/r r", "tenants/org/roles/r r/scopes/0", "credentials/0",
		"endpoints/ x", "endpoints/ x/scopes/0", "endpoints/ x/routes/0", "endpoints/ x/routes/1", "endpoints/y", "endpoints/y",
		"key_types/K", "key_types/K", "key_types/K", "key_types/K/format", "tenants/org/named_by/0", "replies/TEAPOT", "replies/TEAPOT/headers/Retry-After",
	}
	var paths []string
	for _, p := range got {
		paths = append(paths, strings.Join(p.Path, "/"))
	}
	if !slices.Equal(paths, want) {
		t.Errorf("got\n%s", strings.Join(lines(got), "\n"))
	}
	for range 10 {
		if again := problems(t, doc); !slices.Equal(lines(again), lines(got)) {
			t.Fatalf("the same document has other problems:\n%v\n%v", got, again)
		}
	}
	if text := got.Error(); strings.Count(text, "\n") != len(want)-1 || !strings.HasPrefix(text, "name: \"\" can't name a policy: write ") {
		t.Errorf("as an error:\n%s", text)
	}
	bare := policy.Problem{Path: []string{"a", "0"}, Message: "is wrong"}
	if bare.String() != "a.0: is wrong" {
		t.Errorf("a problem without a remedy: %s", bare)
	}
	if _, err := policy.Compile(nil); !errors.As(err, new(policy.Problems)) {
		t.Errorf("no document: %v", err)
	}
}

// Every sentence that Compile can say about a document is said in a table above.
func TestEveryMistakeHasARow(t *testing.T) {
	var said []string
	for _, table := range mistakes {
		for _, tc := range table {
			said = append(said, tc.want...)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	sentences := 0
	for _, file := range files {
		// NewPolicies, Version and Documents answer to others than the author of a document, and
		// what a newer version wrote can't be said in text (TestNewerDocuments).
		if strings.HasSuffix(file, "_test.go") || file == "policy.go" || file == "compile_known.go" || file == "documents.go" {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok && (f.Name.Name == "NewPolicies" || f.Name.Name == "Version") {
				return false
			}
			format, ok := sentence(n)
			if !ok || format == "%v" || format == "%s" {
				return true
			}
			sentences++
			if !slices.ContainsFunc(said, pattern(format).MatchString) {
				t.Errorf("%s: no row of the tables earns %q", set.Position(n.Pos()), format)
			}
			return true
		})
	}
	if sentences < 80 {
		t.Errorf("only %d sentences found: are they still written as note(remedy, format) and fmt.Errorf(format)?", sentences)
	}
}

// sentence returns the format of a note, an error, or a problem with a header.
func sentence(n ast.Node) (string, bool) {
	var at ast.Expr
	switch n := n.(type) {
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.SelectorExpr); ok {
			switch {
			case f.Sel.Name == "note" && len(n.Args) > 1:
				at = n.Args[1]
			case f.Sel.Name == "Errorf":
				at = n.Args[0]
			}
		}
	case *ast.ReturnStmt:
		if len(n.Results) == 1 {
			at = n.Results[0]
		}
	}
	literal, ok := at.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil && strings.Contains(text, " ")
}

func pattern(format string) *regexp.Regexp {
	parts := regexp.MustCompile(`%#?[a-z]`).Split(strings.ReplaceAll(format, "%%", "%"), -1)
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile(`(?s)` + strings.Join(parts, `.*`))
}

// repeat writes a field n times, each with its index.
func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+"\n", i)
	}
	return b.String()
}
