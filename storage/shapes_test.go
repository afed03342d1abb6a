package storage

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
)

// A number leads to its shape for as long as a row refers to it, in the newest
// list and in all that were handed out meanwhile, and numbers of shapes that
// nobody has any more are used again.
func TestShapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShapes()
		type row struct {
			number uint32
			name   string
		}
		type view struct {
			list []*shape
			rows []row
		}
		var rows []row
		var views []view
		for i := range rapid.IntRange(1, 400).Draw(t, "steps") {
			// One row comes and the oldest goes, so that few shapes are in use.
			name := fmt.Sprint("policy ", rapid.IntRange(0, 3).Draw(t, "again")*1000+i/2)
			rows = append(rows, row{s.use(&key.Facts{Policy: name, Scopes: []string{name}}), name})
			if len(rows) > 5 {
				s.drop(rows[0].number)
				rows = rows[1:]
			}
			views = append(views, view{s.list, slices.Clone(rows)})
		}
		for i, v := range views {
			for _, r := range v.rows {
				if o := v.list[r.number]; o.policy != r.name || o.scopes[0] != r.name {
					t.Fatalf("in view %d, %d leads to %q, want %q", i, r.number, o.policy, r.name)
				}
			}
		}
		uses := 0
		for _, n := range s.uses {
			uses += n
		}
		if uses != len(rows) || len(s.list) > 200 {
			t.Fatalf("%d uses of %d shapes for %d rows", uses, len(s.list), len(rows))
		}
	})
}
