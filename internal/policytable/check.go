package policytable

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/latchkey/latchkey/internal/strictyaml"
	tablev1 "github.com/latchkey/latchkey/proto/latchkey/table/v1"
)

const permitted, refused = "permitted", "refused"

// States of a table's keys.
const (
	Active   = "active" // or empty
	Revoked  = "revoked"
	Disabled = "disabled"
	Expired  = "expired"
	Rotated  = "rotated"  // the old token is presented, and has ended
	Retiring = "retiring" // the old token is presented, in its grace
)

var (
	states  = []string{Active, Revoked, Disabled, Expired, Rotated, Retiring}
	actions = []string{"create", "list", "show", "update", "rotate", "revoke", "disable", "enable", "reveal"}
)

// checker gathers what is wrong with the table in itself: a row that could
// never be run, or that nothing could fail.
type checker struct {
	source   *strictyaml.Source
	mistakes strictyaml.Mistakes
}

func (c *checker) wrong(path []string, message, remedy string) {
	c.mistakes = append(c.mistakes, c.source.Mistake(path, message, remedy))
}

func (t *Table) check() strictyaml.Mistakes {
	c := &checker{source: t.source}
	var names []string
	for _, k := range t.Keys {
		names = append(names, k.GetName())
		if k.GetName() == NoKey {
			c.wrong([]string{"keys", NoKey}, "a key is called none, which stands for no key", "give it another name")
		}
		if s := k.GetState(); s != "" && !slices.Contains(states, s) {
			c.wrong([]string{"keys", k.GetName(), "state"}, fmt.Sprintf("there is no state %q", s), "write one of "+strings.Join(states, ", "))
		}
	}
	for i, row := range t.table.GetRows() {
		t.checkRow(c, []string{"rows", strconv.Itoa(i)}, row, names)
	}
	for i, row := range t.table.GetManagement() {
		checkManagement(c, []string{"management", strconv.Itoa(i)}, row)
	}
	if len(t.table.GetRows())+len(t.table.GetManagement()) == 0 {
		c.wrong(nil, "the table has no rows", "add rows, or management")
	}
	c.mistakes.Sort()
	return c.mistakes
}

func (t *Table) checkRow(c *checker, at []string, row *tablev1.Row, names []string) {
	below := func(path ...string) []string { return append(slices.Clone(at), path...) }
	if row.GetRule() == "" || row.GetExpect() == "" || len(row.GetKeys()) == 0 || len(row.GetRequests()) == 0 {
		c.wrong(at, "the row is not whole", "give it a rule, keys, requests and what to expect")
	}
	for i, name := range row.GetKeys() {
		if name != NoKey && !slices.Contains(names, name) {
			remedy := "declare it under keys, or write none"
			if near := strictyaml.Nearest(name, names); near != "" {
				remedy = fmt.Sprintf("did you mean %q?", near)
			}
			c.wrong(below("keys", strconv.Itoa(i)), fmt.Sprintf("the table has no key %q", name), remedy)
		}
	}
	for i, request := range row.GetRequests() {
		_, host, _, ok := parseRequest(request)
		switch {
		case !ok:
			c.wrong(below("requests", strconv.Itoa(i)), "it is no request", "write METHOD /path or METHOD https://host/path")
		case host == "" && t.Host() == "":
			c.wrong(below("requests", strconv.Itoa(i)), "the policy has no host, and the request names none", "write METHOD https://host/path")
		}
	}
}

func checkManagement(c *checker, at []string, row *tablev1.Management) {
	below := func(path ...string) []string { return append(slices.Clone(at), path...) }
	if row.GetRule() == "" || len(row.GetActions()) == 0 || row.GetKey() == nil {
		c.wrong(at, "the row is not whole", "give it a rule, actions, a key and what to expect")
	}
	for i, action := range row.GetActions() {
		if !slices.Contains(actions, action) {
			c.wrong(below("actions", strconv.Itoa(i)), fmt.Sprintf("there is no action %q", action), "write one of "+strings.Join(actions, ", "))
		}
	}
	if e := row.GetExpect(); e != permitted && e != refused {
		c.wrong(below("expect"), fmt.Sprintf("%q is neither", e), "write permitted or refused")
	}
	if row.GetKey().GetState() != "" {
		c.wrong(below("key", "state"), "management is about active keys", "leave the state out")
	}
}
