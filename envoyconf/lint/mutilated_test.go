package lint_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/latchkey/latchkey/envoyconf/lint"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

// instead are values of every shape.
var instead = []any{nil, []any{}, map[string]any{}, "x", 1.5, true, []any{nil, []any{}, "x"}}

// places calls f for each value of a document, with what puts another in its place.
func places(value any, put func(any), f func(put func(any), was any)) {
	f(put, value)
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			places(v[name], func(other any) { v[name] = other }, f)
		}
	case []any:
		for i := range v {
			places(v[i], func(other any) { v[i] = other }, f)
		}
	}
}

// TestMutilatedConfigurations puts values of every shape in the place of each value of a configuration: it is judged or refused,
// and never a reason to fall over. Of the configurations with holes a part is tried, all of it with LATCHKEY_MUTILATED=1.
func TestMutilatedConfigurations(t *testing.T) {
	config, reads := kodey(t)
	texts := []string{config}
	for _, hole := range holes(t) {
		text, err := hole.Open(config)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	const part = 64
	tried := 0
	for i, text := range texts {
		tree, err := strictyaml.ReadTree("envoy.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var document any
		if err := json.Unmarshal(tree.JSON(), &document); err != nil {
			t.Fatal(err)
		}
		at := 0
		places(document, func(other any) { document = other }, func(put func(any), was any) {
			for _, other := range instead {
				if at++; i > 0 && at%part != i%part && os.Getenv("LATCHKEY_MUTILATED") == "" {
					continue
				}
				put(other)
				src, err := json.Marshal(document)
				if err != nil {
					t.Fatal(err)
				}
				tried++
				if _, err := lint.File("envoy.json", src, &reads); err != nil && !errors.Is(err, lint.ErrNothing) {
					t.Errorf("%v of\n%s", err, src)
				}
			}
			put(was)
		})
	}
	if tried < 1000 {
		t.Errorf("only %d tried", tried)
	}
	t.Logf("%d mutilated configurations", tried)
}
