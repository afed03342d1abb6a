package storage

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfDistinct(rapid.StringMatching(`[a-c]{1,6}`), rapid.ID).Draw(t, "ids")
		var o order
		for _, id := range ids {
			o.insert(id)
		}
		slices.Sort(ids)
		after := rapid.StringMatching(`[a-d]{0,6}`).Draw(t, "after")
		var want []string
		for _, id := range ids {
			if id > after {
				want = append(want, id)
			}
		}
		if got := walk(&o, after); !slices.Equal(got, want) {
			t.Fatalf("after %q: %q, want %q", after, got, want)
		}
	})
}

func TestOrderOfMany(t *testing.T) {
	const n = 20 * maxRun
	var o order
	var want []string
	for i := range n {
		id := fmt.Sprintf("key_%08x", uint32(i*2654435761)) // scattered
		o.insert(id)
		want = append(want, id)
	}
	slices.Sort(want)
	if got := walk(&o, ""); !slices.Equal(got, want) {
		t.Errorf("%d ids, want %d in order", len(got), len(want))
	}
	for _, run := range o.runs {
		if len(run) == 0 || len(run) > maxRun {
			t.Errorf("a run of %d", len(run))
		}
	}
}

func walk(o *order, after string) (ids []string) {
	for some := o.after(after); len(some) > 0; some = o.after(after) {
		ids = append(ids, some...)
		after = some[len(some)-1]
	}
	return ids
}
