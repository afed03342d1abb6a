package main

import (
	"strings"
	"testing"
)

func rounds(perSecond ...float64) *result {
	r := &result{Subject: latchkeyPrefix + "1"}
	for i, v := range perSecond {
		r.Measurements = append(r.Measurements, &measurement{Round: i, PerSecond: v})
	}
	return r
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   figure
	}{
		{[]float64{3}, figure{3, 3, 3}},
		{[]float64{9, 1, 2}, figure{2, 1, 9}},
		{[]float64{4, 1, 2, 9}, figure{3, 1, 9}},
	} {
		if got := figureOf(c.values); got != c.want {
			t.Errorf("%v: %v", c.values, got)
		}
	}
}

// The machine was twice as slow in the second round: both were, and the ratio tells.
func TestRatiosAreOfOneRound(t *testing.T) {
	if got, ok := rounds(300, 150, 330).ratio(rounds(100, 50, 100), "checks_per_second"); !ok || got.Median != 3 || got.Min != 3 || got.Max != 3.3 {
		t.Errorf("%v %v", got, ok)
	}
	if got, ok := rounds(300).ratio(rounds(100), "server_cpu_us"); ok {
		t.Errorf("nothing to nothing is %v", got)
	}
}

func TestChartHoldsAnyText(t *testing.T) {
	r := &report{Platform: "<&>", Scenarios: []*reported{{About: "a < b & c", Results: []*result{rounds(100, 120)}}}}
	text := r.chart()
	wellFormed(t, text)
	if !strings.Contains(string(text), "a &lt; b &amp; c") {
		t.Errorf("%s", text)
	}
	wellFormed(t, (&report{}).chart())
}
