package main

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/link/linktest"
)

// TestDocsLinkMetrics compares the table of the metrics of links with those
// that there are, and those with the conventions.
func TestDocsLinkMetrics(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	source, err := link.Open(t.Context(), linktest.Write(t, t.TempDir(), ca.Issue(t, linktest.Leaf{DNSNames: []string{"a"}}), ca), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(source.Collectors()...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var real, documented []string
	var text bytes.Buffer
	for _, f := range families {
		row := []string{f.GetName(), strings.ToLower(f.GetType().String()), ""}
		for _, l := range f.GetMetric()[0].GetLabel() {
			row[2] = l.GetName()
		}
		real = append(real, strings.Join(row, " "))
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range tableOf(t, "docs/operations.md", "metric") {
		documented = append(documented, strings.Join(row[:3], " "))
	}
	slices.Sort(real)
	slices.Sort(documented)
	if !slices.Equal(real, documented) {
		t.Errorf("docs/operations.md has the metrics %q, there are %q", documented, real)
	}
	if problems, err := promlint.New(&text).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
