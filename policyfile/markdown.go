package policyfile

import (
	"strings"
	"unicode/utf8"
)

// Markdown is the table as documentation prints it. Where scopes are chosen
// when a key is made, what each unlocks; where the type or a role of the key
// decides, endpoints down and key types across.
func (t Table) Markdown() string {
	var b strings.Builder
	if len(t.Scopes) > 0 {
		t.scopes(&b)
	}
	for _, k := range t.Types {
		if k.Grant != "chosen" {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			t.endpoints(&b)
			break
		}
	}
	return b.String()
}

func (t Table) endpoints(b *strings.Builder) {
	head := []string{"Endpoint"}
	for _, k := range t.Types {
		head = append(head, k.Name)
	}
	rows := [][]string{head}
	for _, e := range t.Endpoints {
		row := []string{e.Name}
		for _, a := range e.Access {
			row = append(row, a.String())
		}
		rows = append(rows, row)
	}
	writeTable(b, rows)
}

func (t Table) scopes(b *strings.Builder) {
	several := false // types that choose scopes, so that it must be said which
	for _, s := range t.Scopes {
		several = several || len(s.Types) != len(t.Types)
	}
	head := []string{"Scope", "Unlocks", "Requires"}
	if several {
		head = append(head, "Key types")
	}
	rows := [][]string{head}
	for _, s := range t.Scopes {
		var unlocks []string
		for _, u := range s.Unlocks {
			unlocks = append(unlocks, u.Endpoint+with(append(u.Scopes[:len(u.Scopes):len(u.Scopes)], u.Permissions...)))
		}
		row := []string{s.Name, strings.Join(unlocks, ", "), strings.Join(s.Requires, ", ")}
		if several {
			row = append(row, strings.Join(s.Types, ", "))
		}
		rows = append(rows, row)
	}
	writeTable(b, rows)
}

// String is the cell as documentation prints it: Yes, No, Public, or the
// roles or scopes that it takes.
func (a Access) String() string {
	switch a.Answer {
	case Yes:
		return "Yes" + with(a.Permissions)
	case ByRoles:
		return strings.Join(a.Roles, ", ")
	case ByScopes:
		return strings.Join(a.Scopes, " and ") + with(a.Permissions)
	case Open:
		return "Public"
	}
	return "No"
}

func with(more []string) string {
	if len(more) == 0 {
		return ""
	}
	return " (with " + strings.Join(more, ", ") + ")"
}

// writeTable writes rows, the first of them the head, in columns of one width.
func writeTable(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]), 3)
		}
	}
	line := func(cells []string, fill string) {
		for i, cell := range cells {
			b.WriteString("| " + cell + strings.Repeat(fill, widths[i]-utf8.RuneCountInString(cell)) + " ")
		}
		b.WriteString("|\n")
	}
	line(rows[0], " ")
	line(make([]string, len(rows[0])), "-")
	for _, row := range rows[1:] {
		line(row, " ")
	}
}
