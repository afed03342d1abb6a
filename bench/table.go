package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// print writes the report for people.
func (r *report) print(to io.Writer) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "%s, %d cores, %s; medians [and ranges] of %d interleaved rounds of %s.\n", r.Platform, r.Cores, r.Go, r.Rounds, r.Duration)
	fmt.Fprintln(out, "CPU is that of the server's process for a check; times are those of the generator, which shares the cores.")
	if others := r.others(); others > muchOfOthers {
		fmt.Fprintf(out, "The machine was busy with something else: %.1f of its cores, at the median. Measure again when it is quiet.\n", others)
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(out, "Left out: %s\n", s)
	}
	for _, c := range r.Scenarios {
		c.print(out)
	}
	_, err := io.WriteString(to, out.String())
	return err
}

// muchOfOthers is from how many cores on what others do on the machine makes figures,
// though not CPU times, say more about them than about the subjects.
const muchOfOthers = 0.1

// others is how many cores were busy with something else over all measurements.
func (r *report) others() float64 {
	var all []float64
	for _, c := range r.Scenarios {
		for _, one := range c.Results {
			for _, m := range one.Measurements {
				all = append(all, m.Others)
			}
		}
	}
	if len(all) == 0 {
		return 0
	}
	return figureOf(all).Median
}

func (c *reported) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s: %s\n", c.Name, c.About)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  subject\tchecks/s\t\tCPU µs\t\tto no-op\tp50 µs\tp99 µs\tp99.9 µs\tMB\tEnvoy CPU µs")
	for _, one := range c.Results {
		persec, cpu := one.figure("checks_per_second"), one.figure("server_cpu_us")
		fmt.Fprintf(t, "  %s\t%.0f\t[%.0f..%.0f]\t", one.Subject, persec.Median, persec.Min, persec.Max)
		if cpu.Median > 0 {
			fmt.Fprintf(t, "%.1f\t[%.1f..%.1f]\t%s\t", cpu.Median, cpu.Min, cpu.Max, c.toNoop(one))
		} else {
			fmt.Fprint(t, "\t\t\t")
		}
		fmt.Fprintf(t, "%.0f\t%.0f\t%.0f\t%.0f\t", one.figure("p50_us").Median, one.figure("p99_us").Median, one.figure("p999_us").Median, one.figure("memory_mb").Median)
		if envoy := one.figure("envoy_cpu_us"); envoy.Median > 0 {
			fmt.Fprintf(t, "%.1f", envoy.Median)
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush() // into a builder
	for _, one := range c.Results {
		if n := one.unanswered(); n > 0 {
			fmt.Fprintf(out, "  %s can't keep up: %d requests were still without an answer when the waiting ended, and count as they stood then\n", one.Subject, n)
		}
	}
	c.printRatios(out)
}

func (c *reported) toNoop(one *result) string {
	base := c.result(nameNoop)
	if base == nil {
		return ""
	}
	ratio, ok := one.ratio(base, "server_cpu_us")
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.2f", ratio.Median)
}

// printRatios tells how Latchkey stands to the others.
func (c *reported) printRatios(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	header := "  ratio\tCPU\t\tchecks/s\t\tp50\t\tp99\t\n"
	for _, h := range c.Ratios {
		if !isLatchkey(h.Subject) {
			continue
		}
		fmt.Fprint(t, header)
		header = ""
		fmt.Fprintf(t, "  %s / %s", h.Subject, h.To)
		for _, name := range []string{"server_cpu_us", "checks_per_second", "p50_us", "p99_us"} {
			if ratio, ok := h.Ratios[name]; ok {
				fmt.Fprintf(t, "\t%.2f\t[%.2f..%.2f]", ratio.Median, ratio.Min, ratio.Max)
			} else {
				fmt.Fprint(t, "\t\t")
			}
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush() // into a builder
}
