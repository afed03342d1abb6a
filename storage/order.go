package storage

import (
	"slices"
	"strings"
)

// maxRun is the longest run of an order.
const maxRun = 512

// order is a set of strings in order: sorted runs, one after the other, none
// empty. It is only ever added to, at the cost of moving one run.
type order struct {
	runs [][]string
}

// insert adds an id that isn't there.
func (o *order) insert(id string) {
	if len(o.runs) == 0 {
		o.runs = [][]string{{id}}
		return
	}
	r := max(o.run(id), 0)
	run := o.runs[r]
	at, _ := slices.BinarySearch(run, id)
	run = slices.Insert(run, at, id)
	o.runs[r] = run
	if len(run) > maxRun {
		half := len(run) / 2
		o.runs[r] = run[:half:half]
		o.runs = slices.Insert(o.runs, r+1, slices.Clone(run[half:]))
	}
}

// run returns the index of the last run that begins at or before the id, -1
// for none.
func (o *order) run(id string) int {
	at, found := slices.BinarySearchFunc(o.runs, id, func(run []string, id string) int { return strings.Compare(run[0], id) })
	if found {
		return at
	}
	return at - 1
}

// after returns the ids that follow, as many as come in one go and at least
// one unless there are no more. They are valid until the next insert.
func (o *order) after(id string) []string {
	r := max(o.run(id), 0)
	for ; r < len(o.runs); r++ {
		at, found := slices.BinarySearch(o.runs[r], id)
		if found {
			at++
		}
		if at < len(o.runs[r]) {
			return o.runs[r][at:]
		}
	}
	return nil
}
