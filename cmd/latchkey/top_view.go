package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchkey/latchkey/internal/strictyaml"
)

// style is how a line is shown on a terminal.
type style string

const (
	ordinary style = ""
	headline style = "1"  // bold
	caution  style = "33" // yellow
	alarm    style = "31" // red
	aside    style = "2"  // faint
)

// styler puts a line into a style.
type styler func(style, string) string

func plainText(_ style, line string) string { return line }

func colourText(s style, line string) string {
	if s == ordinary {
		return line
	}
	return "\x1b[" + string(s) + "m" + line + "\x1b[0m"
}

// styled is one line of cells.
type styled struct {
	style style
	cells []string
}

// lines are the view as text, of at most so many lines; 0 is without limit.
func (v *topView) lines(most int, paint styler) []string {
	noun := "processes"
	if len(v.Processes) == 1 {
		noun = "process"
	}
	lines := []string{
		paint(headline, fmt.Sprintf("latchkey top   %d %s   %s   over %s", len(v.Processes), noun, v.Time.Format(time.RFC3339), seconds(v.Interval))), "",
	}
	lines = append(lines, columns(v.processRows(), paint)...)
	// Not in a column: it would be the last, which a terminal of 80 columns has no room for.
	for _, p := range v.Processes {
		if worst, trouble := p.trouble(); trouble != "" {
			lines = append(lines, paint(worst, strictyaml.Printable(p.Address+": "+trouble)))
		}
	}
	decisions := columns(v.decisionRows(), paint)
	if room := most - len(lines) - 1; most > 0 && len(decisions) > room {
		kept := max(1, room-1)
		decisions = append(decisions[:kept:kept], paint(aside, fmt.Sprintf("… and %d more", len(decisions)-kept)))
	}
	lines = append(append(lines, ""), decisions...)
	if most > 0 && len(lines) > most {
		lines = lines[:most]
	}
	return lines
}

func (v *topView) processRows() []styled {
	rows := []styled{{headline, []string{"PROCESS", "READY", "REVISION", "KEYS", "CHECKS/S", "DENIED/S", "P50", "P99", "AGE", "LEASE", "REPLICAS"}}}
	for _, p := range v.Processes {
		if p.Problem != nil {
			rows = append(rows, styled{alarm, []string{p.Address, "?", "", "", "", "", "", "", "", "", ""}})
			continue
		}
		s, _ := p.trouble()
		ready := "yes"
		if !p.Ready {
			ready = "no"
		}
		age, lease, replicas := "", "", ""
		if r := p.Replica; r != nil {
			age, lease = "never", "no end"
			if r.Age != nil {
				age = seconds(*r.Age)
			}
			if r.Lease != nil {
				lease = seconds(*r.Lease)
			}
		}
		if h := p.Hub; h != nil {
			replicas = fmt.Sprintf("%d current, %d lagging, %d away", h.Current, h.Lagging, h.Away)
		}
		rows = append(rows, styled{s, []string{
			p.Address, ready, fmt.Sprint(p.Revision), fmt.Sprint(p.Keys), perSecond(p.Checks), perSecond(p.Denied),
			took(p.P50), took(p.P99), age, lease, replicas,
		}})
	}
	return rows
}

// trouble is what is wrong with a process, the worst first.
func (p *topFigures) trouble() (style, string) {
	if p.Problem != nil {
		return alarm, *p.Problem
	}
	var all []string
	worst := ordinary
	note := func(s style, is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Sprintf(format, args...))
			if worst != alarm {
				worst = s
			}
		}
	}
	r, h := p.Replica, p.Hub
	note(alarm, r != nil && r.Stale, "stale: answers 503")
	note(alarm, !p.Ready && (r == nil || !r.Stale), "can't decide: answers 503")
	note(alarm, p.Failures > 0, "%d internal errors", p.Failures)
	note(alarm, p.Degraded, "takes no writes")
	note(caution, r != nil && !r.Connected, "no hub feeds it")
	note(caution, h != nil && h.Lagging+h.Away > 0, "replicas are behind")
	note(caution, p.Refused > 0, "%d refused by limits", p.Refused)
	note(caution, p.Dropped != nil && *p.Dropped > 0, "%d decisions not in the log", deref(p.Dropped))
	return worst, strings.Join(all, ", ")
}

func (v *topView) decisionRows() []styled {
	rows := []styled{{headline, []string{"PER SECOND", "TOTAL", "DECISION", "REASON", "POLICY", "KEY TYPE"}}}
	for _, d := range v.decisions() {
		s := ordinary
		switch {
		case slices.Contains([]string{"NOT_READY", "REPLICA_STALE", "UNDECIDED"}, d.Reason):
			s = alarm
		case d.Decision == "deny":
			s = caution
		}
		rows = append(rows, styled{s, []string{perSecond(d.Rate), fmt.Sprint(d.Total), d.Decision, d.Reason, d.Policy, d.KeyType}})
	}
	return rows
}

// columns lays rows out, with two spaces between columns. An empty cell is a
// dash, but at the end of a row. A column that no row below the heads fills is
// left out.
func columns(rows []styled, paint styler) []string {
	width := make([]int, len(rows[0].cells))
	filled := make([]bool, len(width))
	for n, r := range rows {
		for i, c := range r.cells {
			width[i] = max(width[i], utf8.RuneCountInString(c))
			filled[i] = filled[i] || c != "" && n > 0 || len(rows) == 1
		}
	}
	lines := make([]string, len(rows))
	for n, r := range rows {
		var b strings.Builder
		last := len(r.cells)
		for last > 0 && r.cells[last-1] == "" {
			last--
		}
		for i, c := range r.cells[:last] {
			if !filled[i] {
				continue
			}
			if c == "" {
				c = "-"
			}
			b.WriteString(strictyaml.Printable(c) + strings.Repeat(" ", max(0, width[i]-utf8.RuneCountInString(c))+2))
		}
		lines[n] = paint(r.style, strings.TrimRight(b.String(), " "))
	}
	return lines
}

func perSecond(rate *float64) string {
	if rate == nil {
		return ""
	}
	return fmt.Sprintf("%.1f", *rate)
}

// took is a duration of a check, to two digits or so.
func took(s *float64) string {
	if s == nil {
		return ""
	}
	d := time.Duration(*s * float64(time.Second))
	switch {
	case d < 10*time.Microsecond:
		return d.Round(100 * time.Nanosecond).String()
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < 100*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// seconds is a time as people read it.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func deref(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}
