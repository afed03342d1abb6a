package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// resizeCheck is how often it is looked whether the terminal has another size:
// not every system tells.
const resizeCheck = 200 * time.Millisecond

// screen is a terminal that is painted anew, on its alternate screen, so that what
// was on it is there again in the end.
type screen struct {
	in, out *os.File
	paintAs styler
	left    chan struct{} // closed when somebody wants to leave
	resized chan struct{}

	before   *term.State
	done     chan struct{}
	watching sync.WaitGroup
}

// openScreen returns the screen that a command has, if it has one: both are a
// terminal, and one that can move its cursor.
func openScreen(in io.Reader, out io.Writer) (*screen, bool) {
	i, ok := in.(*os.File)
	style := styler(plainText)
	if p, coloured := out.(*painter); coloured {
		out, style = p.Writer, colourText
	}
	o, also := out.(*os.File)
	if !ok || !also || !term.IsTerminal(int(i.Fd())) || !term.IsTerminal(int(o.Fd())) {
		return nil, false
	}
	if kind := os.Getenv("TERM"); kind == "" || kind == "dumb" {
		return nil, false
	}
	return &screen{in: i, out: o, paintAs: style, left: make(chan struct{}), resized: make(chan struct{}, 1), done: make(chan struct{})}, true
}

// begin takes the terminal over.
func (s *screen) begin() (err error) {
	if s.before, err = term.MakeRaw(int(s.in.Fd())); err != nil {
		return err
	}
	// The alternate screen, without a cursor, and lines that aren't wrapped.
	go s.keys()
	s.watching.Go(s.watchSize)
	if _, err = s.out.WriteString("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"); err != nil {
		s.end()
	}
	return err
}

// end gives the terminal back as it was.
func (s *screen) end() {
	close(s.done)
	s.watching.Wait()
	_, _ = s.out.WriteString("\x1b[?7h\x1b[?25h\x1b[?1049l")
	_ = term.Restore(int(s.in.Fd()), s.before)
}

// keys waits for somebody to leave: by q, or by Ctrl-C or Ctrl-D, which are
// no signals on a raw terminal. It ends with the process: a terminal that is
// read from can't be made to return.
func (s *screen) keys() {
	var key [1]byte
	for {
		if n, err := s.in.Read(key[:]); err != nil || n == 1 && strings.IndexByte("qQ\x03\x04", key[0]) >= 0 {
			close(s.left)
			return
		}
	}
}

func (s *screen) watchSize() {
	tick := time.NewTicker(resizeCheck)
	defer tick.Stop()
	width, height := s.size()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
		}
		if w, h := s.size(); w != width || h != height {
			width, height = w, h
			select {
			case s.resized <- struct{}{}:
			default:
			}
		}
	}
}

// size is how many columns and lines there are.
func (s *screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// paint shows what lines returns, over what is there, so that nothing flickers.
func (s *screen) paint(lines func(most int, as styler) []string) error {
	width, height := s.size()
	var b strings.Builder
	b.WriteString("\x1b[H")
	cut := func(as style, line string) string {
		if utf8.RuneCountInString(line) > width {
			line = string([]rune(line)[:max(0, width-1)]) + "…"
		}
		return s.paintAs(as, line)
	}
	for _, line := range lines(max(1, height-1), cut) {
		b.WriteString(line + "\x1b[K\r\n")
	}
	b.WriteString(s.paintAs(aside, "q leaves") + "\x1b[K\x1b[J")
	_, err := s.out.WriteString(b.String())
	return err
}
