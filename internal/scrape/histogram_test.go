package scrape

import (
	"math"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"pgregory.net/rapid"
)

// real is a histogram as processes have it, with few enough buckets that they become wider.
func real(native bool) prometheus.Histogram {
	o := prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{25e-6, 100e-6, 1e-3, 10e-3}}
	if native {
		o.NativeHistogramBucketFactor, o.NativeHistogramMaxBucketNumber = 1.1, 30
	}
	return prometheus.NewHistogram(o)
}

func read(tb rapid.TB, h prometheus.Histogram) Histogram {
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		tb.Fatal(err)
	}
	return histogram(m.GetHistogram())
}

// TestQuantilesAreNear those of the values themselves, whatever came before, as near as the buckets are wide.
func TestQuantilesAreNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := real(true)
		duration := rapid.Custom(func(t *rapid.T) float64 { return math.Pow(10, rapid.Float64Range(-6, -1).Draw(t, "exponent")) })
		for _, v := range rapid.SliceOfN(duration, 0, 50).Draw(t, "before") {
			h.Observe(v)
		}
		earlier := read(t, h)
		values := rapid.SliceOfN(duration, 1, 200).Draw(t, "values")
		for _, v := range values {
			h.Observe(v)
		}
		d := read(t, h).Since(earlier)
		if d.count != uint64(len(values)) {
			t.Fatalf("%d came, %d are seen", len(values), d.count)
		}
		slices.Sort(values)
		width := math.Exp2(math.Ldexp(1, int(-d.schema)))
		for _, share := range []float64{0, 0.01, 0.5, 0.9, 0.99, 1} {
			got, ok := d.Quantile(share)
			want := values[max(0, int(math.Ceil(share*float64(len(values))))-1)]
			if !ok || got < want/width/1.000001 || got > want*width*1.000001 {
				t.Errorf("the quantile %v of %v is %v, not %v, with buckets of %v", share, values, got, want, width)
			}
		}
	})
}

func TestClassicQuantiles(t *testing.T) {
	h := real(false)
	for range 10 {
		h.Observe(5) // before
	}
	earlier := read(t, h)
	for range 50 {
		h.Observe(20e-6)
	}
	for range 49 {
		h.Observe(500e-6)
	}
	h.Observe(1)
	d := read(t, h).Since(earlier)
	for share, want := range map[float64]float64{0.25: 12.5e-6, 0.5: 25e-6, 0.99: 1e-3, 1: 10e-3} {
		if got, ok := d.Quantile(share); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("the quantile %v is %v, want %v", share, got, want)
		}
	}
}

func TestNothingCame(t *testing.T) {
	for _, native := range []bool{true, false} {
		h := real(native)
		if _, ok := read(t, h).Quantile(0.5); ok {
			t.Error("there is a quantile of nothing")
		}
		h.Observe(1)
		if _, ok := read(t, h).Since(read(t, h)).Quantile(0.5); ok {
			t.Error("there is a quantile of nothing new")
		}
	}
}

// A process that tells how many there are, and nothing of where, has no quantile and ends nobody.
func TestNoBuckets(t *testing.T) {
	h := real(true)
	h.Observe(1)
	bare := histogram(&dto.Histogram{SampleCount: new(uint64(2))})
	if d := bare.Since(read(t, h)); d.count != 1 {
		t.Errorf("%d came", d.count)
	}
}

// A process that was started anew has counted less than before: all that it counts is new.
func TestStartedAnew(t *testing.T) {
	before, after := real(true), real(true)
	for range 10 {
		before.Observe(1)
	}
	after.Observe(0.5)
	d := read(t, after).Since(read(t, before))
	if got, ok := d.Quantile(0.5); !ok || got > 0.5 || d.count != 1 {
		t.Errorf("%v of %d", got, d.count)
	}
}
