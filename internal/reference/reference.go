// Package reference writes the parts of documents that are generated: tables of commands and their flags, and of the
// fields of files that people write. Tests of those who own the commands and the files call it, with -update to write,
// and else to compare, so that no reference says other things than the code.
package reference

import (
	"fmt"
	"os"
	"strings"
)

// Keep holds the generated part of a document of that name against text, which is what it has to be. With update it is
// written. It is what stands between the lines
//
//	<!-- generated: NAME -->
//	<!-- end of NAME -->
//
// of the document; a document without them is an error.
func Keep(file, name, text string, update bool) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := "<!-- generated: "+name+" -->\n", "<!-- end of "+name+" -->\n"
	before, rest, ok := strings.Cut(string(document), begin)
	is, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no lines %q and %q, between which the reference stands", file, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	if is == text {
		return nil
	}
	if !update {
		has, wants := firstDifference(is, text)
		return fmt.Errorf("%s isn't what %s is now: run make generate and commit what it writes. The first line that differs is\n%s\nwant\n%s", file, name, has, wants)
	}
	return os.WriteFile(file, []byte(before+begin+text+end+after), 0o644)
}

// firstDifference returns the first lines in which two texts differ.
func firstDifference(a, b string) (string, string) {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	i := 0
	for i < len(left)-1 && i < len(right)-1 && left[i] == right[i] {
		i++
	}
	return left[i], right[i]
}

// table is a table in Markdown. Columns in which nothing stands are left out.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(b *strings.Builder) {
	filled := make([]bool, len(t.head))
	for _, r := range t.rows {
		for i, cell := range r {
			filled[i] = filled[i] || cell != ""
		}
	}
	line := func(cells []string) {
		b.WriteString("|")
		for i, cell := range cells {
			if filled[i] {
				b.WriteString(" " + strings.ReplaceAll(cell, "|", `\|`) + " |")
			}
		}
		b.WriteString("\n")
	}
	line(t.head)
	b.WriteString("|")
	for _, is := range filled {
		if is {
			b.WriteString("---|")
		}
	}
	b.WriteString("\n")
	for _, r := range t.rows {
		line(r)
	}
	b.WriteString("\n")
}

// code is text as code, and nothing where there is none.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// sentence is text that begins with a capital and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
