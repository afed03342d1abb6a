package main

import (
	"encoding/json"
	"slices"
)

// figure is a quantity over the rounds.
type figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// figureOf returns the middle value and the extremes; of an even number of values the
// mean of the two in the middle. There is at least one.
func figureOf(values []float64) figure {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return figure{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// quantity is one of the things that are measured.
type quantity struct {
	name string
	of   func(*measurement) float64
}

// quantities are what is told of a subject, and held against others.
var quantities = []quantity{
	{"checks_per_second", func(m *measurement) float64 { return m.PerSecond }},
	{"server_cpu_us", func(m *measurement) float64 { return m.ServerCPU }},
	{"envoy_cpu_us", func(m *measurement) float64 { return m.EnvoyCPU }},
	{"p50_us", func(m *measurement) float64 { return m.P50 }},
	{"p99_us", func(m *measurement) float64 { return m.P99 }},
	{"p999_us", func(m *measurement) float64 { return m.P999 }},
	{"memory_mb", func(m *measurement) float64 { return m.Memory }},
	{"others_cores", func(m *measurement) float64 { return m.Others }},
}

// result is what all rounds of one scenario say about one subject.
type result struct {
	Subject      string         `json:"subject"`
	Measurements []*measurement `json:"measurements"`
}

func (r *result) values(q quantity) []float64 {
	out := make([]float64, len(r.Measurements))
	for i, m := range r.Measurements {
		out[i] = q.of(m)
	}
	return out
}

func (r *result) figure(name string) figure {
	q := quantities[slices.IndexFunc(quantities, func(q quantity) bool { return q.name == name })]
	return figureOf(r.values(q))
}

// ratio holds a subject against another: round by round, since what the machine did
// meanwhile met both. There is none where one of them has no such quantity.
func (r *result) ratio(to *result, name string) (figure, bool) {
	q := quantities[slices.IndexFunc(quantities, func(q quantity) bool { return q.name == name })]
	of := map[int]float64{}
	for _, m := range to.Measurements {
		of[m.Round] = q.of(m)
	}
	var ratios []float64
	for _, m := range r.Measurements {
		if base := of[m.Round]; base > 0 && q.of(m) > 0 {
			ratios = append(ratios, q.of(m)/base)
		}
	}
	if len(ratios) == 0 {
		return figure{}, false
	}
	return figureOf(ratios), true
}

func (r *result) unanswered() int {
	n := 0
	for _, m := range r.Measurements {
		n += m.Unanswered
	}
	return n
}

// MarshalJSON adds the figures to the measurements.
func (r *result) MarshalJSON() ([]byte, error) {
	figures := map[string]figure{}
	for _, q := range quantities {
		if len(r.Measurements) > 0 {
			figures[q.name] = figureOf(r.values(q))
		}
	}
	type plain result
	return json.Marshal(struct {
		*plain
		Figures map[string]figure `json:"figures"`
	}{(*plain)(r), figures})
}
