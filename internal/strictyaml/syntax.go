package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parse reads src, which must hold exactly one document, into nodes. It
// returns nil after reporting what is wrong.
func (d *decoder) parse(src []byte) *yaml.Node {
	at := func(line, column int, text, message, remedy string) *yaml.Node {
		d.mistakes = append(d.mistakes, d.source.mistake(nil, line, column, text, message, remedy))
		return nil
	}
	if len(src) > d.limit {
		return at(1, 1, "", fmt.Sprintf("the file is larger than the %d bytes that are read", d.limit), "split it")
	}
	if line, column, ok := notText(src); ok {
		return at(line, column, "", "a byte that is not UTF-8 text, or a control character", "save the file as UTF-8 without control characters")
	}
	lines := &lineReader{rest: src}
	reader := yaml.NewDecoder(lines)
	first, err := next(reader)
	if err == io.EOF {
		return at(1, 1, "", "the file is empty", "write the document into it")
	}
	var second *yaml.Node
	if err == nil {
		second, err = next(reader)
	}
	switch {
	case err == io.EOF && first.Kind == yaml.ScalarNode && first.Tag == "!!null" && first.Value == "":
		return at(1, 1, "", "the file is empty", "write the document into it")
	case err == io.EOF:
		return first
	case err == nil:
		// An empty one is placed after its marker, which may be past the last line.
		at(min(second.Line, bytes.Count(src, []byte{'\n'})+1), second.Column, firstLine(second.Value), "a second document begins here", "keep one document in a file")
		d.mistakes[len(d.mistakes)-1].Extra = true
		return first
	}
	line, message, remedy := explainSyntax(src, lines.count, err)
	text := d.source.lines[line-1]
	indent := len(text) - len(strings.TrimLeft(text, " \t"))
	return at(line, indent+1, strings.TrimSpace(text), message, remedy)
}

// next is the next document's content.
func next(reader *yaml.Decoder) (content *yaml.Node, err error) {
	// A process that reloads its files must outlive a parser that stumbles over one.
	defer func() {
		if p := recover(); p != nil {
			content, err = nil, errors.New("the YAML parser cannot read this")
		}
	}()
	var document yaml.Node
	if err := reader.Decode(&document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 {
		return nil, io.EOF
	}
	return document.Content[0], nil
}

// lineReader yields one line at a time, so that its count tells how far the
// parser came: the parser itself often names the line where the construct
// began in which it gave up.
type lineReader struct {
	rest  []byte
	count int
}

func (r *lineReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	end := bytes.IndexByte(r.rest, '\n') + 1
	if end == 0 {
		end = len(r.rest)
	}
	n := copy(p, r.rest[:end])
	r.rest = r.rest[n:]
	if n == end {
		r.count++
	}
	return n, nil
}

var (
	namedLine   = regexp.MustCompile(`^line (\d+): `)
	namedAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// explainSyntax turns the parser's error, which came after it had read so many
// lines, into a line and what to do.
func explainSyntax(src []byte, read int, err error) (line int, message, remedy string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	line = 1
	if m := namedLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	count := bytes.Count(src, []byte{'\n'}) + 1
	read = max(1, min(read, count))
	if m := namedAnchor.FindStringSubmatch(message); m != nil {
		if at := bytes.Index(src, []byte("*"+m[1])); at >= 0 {
			line = 1 + bytes.Count(src[:at], []byte{'\n'})
		}
		return min(line, count), fmt.Sprintf("alias of an anchor %q that is nowhere", m[1]), "aliases are not read; quote text that begins with *"
	}
	remedy = "correct the YAML"
	switch {
	case strings.Contains(message, "',' or"):
		line++ // the parser counts this one from 0
		message, remedy = "a list or mapping in brackets that opens here is not closed as it should be", "close it, and quote items that hold any of [ ] { } , : #"
	case strings.Contains(message, "expected node content"):
		line = stoppedAt(src, read, err)
		message, remedy = "a value is missing, or begins with a character that YAML reserves", "write the value, quoted where it is text"
	case strings.Contains(message, "did not find expected"):
		line = stoppedAt(src, read, err)
		message, remedy = "this does not continue what stands above", "indent the members of a mapping or list alike, and quote text that begins with a special character"
	case strings.Contains(message, "max depth"):
		message, remedy = fmt.Sprintf("nested deeper than %d levels", MaxDepth), "nest it less"
	case strings.Contains(message, "unexpected end of stream"):
		message, remedy = "a quoted text is not closed before the file ends", "close the quotes"
	case strings.Contains(message, "expected ':'"):
		message, remedy = "this is not a member of a mapping", "write `name: value`"
	case strings.Contains(message, "mapping values are not allowed"):
		message, remedy = "a second colon in one value", "quote text that holds a colon and a space"
	case strings.Contains(message, "tab character"), strings.Contains(message, "cannot start any token") && indentedByTab(src, line):
		message, remedy = "a tab in the indentation", "indent with spaces"
	case strings.Contains(message, "cannot start any token"):
		message, remedy = "a value begins with a character that YAML reserves", "quote it"
	}
	return max(1, min(line, count)), message, remedy
}

// indentedByTab reports whether a line of the file, from 1, begins with a tab.
func indentedByTab(src []byte, line int) bool {
	for range line - 1 {
		src = src[bytes.IndexByte(src, '\n')+1:]
	}
	return bytes.HasPrefix(bytes.TrimLeft(src, " "), []byte{'\t'})
}

// stoppedAt is the line at which the parser gave up: the last that it read, or
// the one before, where it only looked ahead.
func stoppedAt(src []byte, read int, cause error) int {
	for back := 0; back < 3 && read > 1; back++ {
		end := 0
		for range read - 1 {
			end += bytes.IndexByte(src[end:], '\n') + 1
		}
		_, err := next(yaml.NewDecoder(bytes.NewReader(src[:end])))
		if err == nil || err.Error() != cause.Error() {
			break
		}
		read--
	}
	return read
}

// notText finds the first byte that is not UTF-8, or a control character other
// than tabs and the ends of lines.
func notText(src []byte) (line, column int, found bool) {
	line, column = 1, 1
	for rest := src; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1,
			r < ' ' && r != '\t' && r != '\n' && (r != '\r' || len(rest) < 2 || rest[1] != '\n'), r == 0x7f, r >= 0x80 && r < 0xa0,
			r == '\u2028', r == '\u2029': // YAML would count these as lines, editors do not
			return line, column, true
		case r == '\n':
			line, column = line+1, 0
		}
		rest = rest[size:]
		column++
	}
	return 0, 0, false
}
