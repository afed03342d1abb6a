package strictyaml

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Mistake is one thing that is wrong in a file.
type Mistake struct {
	File string
	// Line and Column count from 1; columns count characters, not bytes.
	Line, Column int
	// Path leads to the field or element that is wrong, or to the one that holds it.
	Path []string
	// Text is what stands at the place: a scalar, a key, or empty.
	Text string
	// Message says what is wrong, Remedy what to do about it.
	Message, Remedy string
	// Extra is set where something is there that should not be, and nothing
	// else of the document is missing because of it.
	Extra bool

	line string // the line of the file, for the picture below the message
}

// Mistakes is the error for a file that cannot be used: all that is wrong
// with it, sorted by place. It is never empty when it is returned as an error.
type Mistakes []Mistake

// Error prints each mistake as `file:line:column: message: remedy`, with the
// line of the file and a caret below.
func (ms Mistakes) Error() string {
	var b strings.Builder
	for i, m := range ms {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(m.String())
	}
	return b.String()
}

// Sort puts mistakes in the order of the file. Those of one place keep their order.
func (ms Mistakes) Sort() {
	slices.SortStableFunc(ms, func(a, b Mistake) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// String is the mistake as [Mistakes.Error] prints it.
func (m Mistake) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", m.File, m.Line, m.Column, m.Message)
	if m.Remedy != "" {
		b.WriteString(": " + m.Remedy)
	}
	if picture := m.picture(); picture != "" {
		b.WriteString("\n" + picture)
	}
	return b.String()
}

const pictureWidth = 120 // characters of a source line that are shown

// picture is the source line with carets below the text that is wrong.
func (m Mistake) picture() string {
	if strings.TrimSpace(m.line) == "" {
		return ""
	}
	line := []rune(Printable(m.line))
	start := min(m.Column-1, len(line))
	cut := 0
	if start > pictureWidth*3/4 {
		cut = start - pictureWidth/2
	}
	shown := line[cut:min(len(line), cut+pictureWidth)]
	width := utf8.RuneCountInString(m.Text)
	width = max(1, min(width, len(shown)-(start-cut)))
	gutter := fmt.Sprintf("%5d | ", m.Line)
	return gutter + strings.TrimRight(string(shown), " ") + "\n" +
		strings.Repeat(" ", len(gutter)-2) + "| " + strings.Repeat(" ", start-cut) + strings.Repeat("^", width)
}

// Printable is one line of text of others, as a terminal or a table shows it without harm: anything that is not a visible
// character becomes one that is, at the same width.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\ufeff', r < ' ', r == 0x7f, r >= 0x80 && r < 0xa0, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return utf8.RuneError
		}
		return r
	}, s)
}
