package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
)

// Measures of the chart, in its own units.
const (
	chartWidth  = 860
	labelWidth  = 150
	barWidth    = 190 // of the longest
	panelWidth  = (chartWidth - labelWidth) / 2
	rowHeight   = 22
	barHeight   = 14
	headHeight  = 56
	panelHeight = 52 // of the words above the bars
)

// chartStyle reads well on light and on dark.
const chartStyle = `text{font-family:system-ui,"Segoe UI",Helvetica,Arial,sans-serif;font-size:13px;fill:#1f2328}.title{font-size:16px;font-weight:600}.note{font-size:11px;fill:#59636e}.value{font-size:12px}
.page{fill:#ffffff}.axis{stroke:#59636e}.range{stroke:#59636e;stroke-width:1.5}.bar{fill:#8c959f}.ours{fill:#0969da}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}.page{fill:#0d1117}.axis,.range{stroke:#9198a1}.bar{fill:#656c76}.ours{fill:#4493f8}}`

// panel is a quantity as the chart tells it.
type panel struct {
	quantity, title, format string
}

var panels = []panel{
	{"server_cpu_us", "CPU of the server for a check, µs (less is better)", "%.1f"},
	{"checks_per_second", "checks per second (more is better)", "%.0f"},
}

// chart draws the scenarios that say most, or what there is of others, as SVG.
func (r *report) chart() []byte {
	drawn := slices.DeleteFunc(slices.Clone(r.Scenarios), func(c *reported) bool { return !c.chart })
	if len(drawn) == 0 {
		drawn = r.Scenarios[:min(1, len(r.Scenarios))]
	}
	height := headHeight
	for _, c := range drawn {
		height += panelHeight + rowHeight*len(c.Results) + rowHeight
	}
	out := &bytes.Buffer{}
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="What one check costs">`+"\n<style>%s</style>\n", chartWidth, height, chartStyle)
	fmt.Fprintf(out, `<rect class="page" width="%d" height="%d"/>`+"\n", chartWidth, height)
	write(out, "title", 16, 26, "start", "What one check costs")
	write(out, "note", 16, 44, "start", fmt.Sprintf("%s, %d cores, %s. Medians of %d interleaved rounds of %s; the thin line is the range.", r.Platform, r.Cores, r.Go, r.Rounds, r.Duration))
	y := headHeight
	for _, c := range drawn {
		c.draw(out, y)
		y += panelHeight + rowHeight*len(c.Results) + rowHeight
	}
	fmt.Fprintln(out, "</svg>")
	return out.Bytes()
}

func (c *reported) draw(out *bytes.Buffer, y int) {
	write(out, "", 16, y+16, "start", c.About)
	for n, p := range panels {
		x := labelWidth + n*panelWidth
		write(out, "note", x, y+38, "start", p.title)
		longest := 0.0
		for _, one := range c.Results {
			longest = max(longest, one.figure(p.quantity).Max)
		}
		top := y + panelHeight - 6
		fmt.Fprintf(out, `<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", x, top, x, top+rowHeight*len(c.Results))
		for row, one := range c.Results {
			middle := top + rowHeight*row + rowHeight/2
			if n == 0 {
				write(out, "", labelWidth-8, middle+4, "end", one.Subject)
			}
			f := one.figure(p.quantity)
			if f.Median <= 0 || longest <= 0 {
				write(out, "note", x+6, middle+4, "start", "no server")
				continue
			}
			class := "bar"
			if isLatchkey(one.Subject) {
				class += " ours"
			}
			at := func(value float64) float64 { return float64(x) + barWidth*value/longest }
			fmt.Fprintf(out, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`, class, x, middle-barHeight/2, at(f.Median)-float64(x), barHeight)
			fmt.Fprintf(out, `<line class="range" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", at(f.Min), middle, at(f.Max), middle)
			write(out, "value", int(at(f.Max))+6, middle+4, "start", fmt.Sprintf(p.format, f.Median))
		}
	}
}

// write puts a line of text into the chart.
func write(out *bytes.Buffer, class string, x, y int, anchor, text string) {
	fmt.Fprintf(out, `<text class="%s" x="%d" y="%d" text-anchor="%s">`, class, x, y, anchor)
	_ = xml.EscapeText(out, []byte(text)) // into a buffer
	fmt.Fprintln(out, "</text>")
}
