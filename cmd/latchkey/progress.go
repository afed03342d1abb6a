package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

const (
	progressLive  = 200 * time.Millisecond // between two states of the line on a terminal
	progressPlain = 5 * time.Second        // between two lines elsewhere
)

// progress tells on stderr how far a long command is: on one line of a terminal
// that changes, and elsewhere, as in a log, by a line now and then.
type progress struct {
	w     io.Writer
	live  bool
	what  string // such as "keys checked"
	total int    // 0: not known
	began time.Time
	told  time.Time
	shown bool // a line of a terminal that isn't ended
}

func newProgress(cmd *cobra.Command, what string, total int) *progress {
	w, now := cmd.ErrOrStderr(), time.Now()
	return &progress{w: w, live: isTerminal(w), what: what, total: total, began: now, told: now}
}

// at tells that so many are done, unless something was told a moment ago.
func (p *progress) at(done int) {
	now, every := time.Now(), progressPlain
	if p.live {
		every = progressLive
	}
	if now.Sub(p.told) < every {
		return
	}
	p.told = now
	if text := p.text(done, now.Sub(p.began)); p.live {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K"+text)
		p.shown = true
	} else {
		_, _ = fmt.Fprintln(p.w, text)
	}
}

// text is how far it is, how fast it goes, and how long it will take.
func (p *progress) text(done int, took time.Duration) string {
	text := fmt.Sprintf("%d %s", done, p.what)
	if p.total > 0 {
		text = fmt.Sprintf("%d of %d %s", done, p.total, p.what)
	}
	rate := float64(done) / max(took.Seconds(), 1e-3)
	text += fmt.Sprintf(", %.0f/s", rate)
	if p.total > done && rate > 0 {
		left := time.Duration(float64(p.total-done) / rate * float64(time.Second))
		text += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	return text
}

// end takes the line off the terminal.
func (p *progress) end() {
	if p.shown {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
