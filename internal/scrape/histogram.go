package scrape

import (
	"maps"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// Histogram is a native histogram of Prometheus, or a classic one where there
// is no other.
//
// Bucket i of schema s ends at 2^(i/2^s), and begins where the one before ends.
// What is no larger than the threshold is in the zero bucket.
type Histogram struct {
	count     uint64
	schema    int32
	threshold float64
	zero      uint64
	buckets   map[int32]uint64
	classic   []classicBucket // by where they end; nil where there are others
}

type classicBucket struct {
	end   float64
	until uint64 // how many are in it and in those before
}

func histogram(h *dto.Histogram) Histogram {
	of := Histogram{count: h.GetSampleCount()}
	if h.Schema == nil || h.GetSchema() < -4 || h.GetSchema() > 8 {
		for _, b := range h.GetBucket() {
			of.classic = append(of.classic, classicBucket{b.GetUpperBound(), b.GetCumulativeCount()})
		}
		return of
	}
	of.schema, of.threshold, of.zero, of.buckets = h.GetSchema(), h.GetZeroThreshold(), h.GetZeroCount(), map[int32]uint64{}
	deltas := h.GetPositiveDelta()
	index, n := int32(0), int64(0)
	for _, span := range h.GetPositiveSpan() {
		index += span.GetOffset()
		for range span.GetLength() {
			if len(deltas) == 0 {
				return of
			}
			n += deltas[0]
			deltas = deltas[1:]
			of.buckets[index] += uint64(max(n, 0))
			index++
		}
	}
	return of
}

// Since returns what came since an earlier state of the same histogram: all of
// it where the process was started anew.
func (h Histogram) Since(earlier Histogram) Histogram {
	if h.count < earlier.count || (h.classic == nil) != (earlier.classic == nil) || len(h.classic) != len(earlier.classic) {
		return h
	}
	d := h
	d.count -= earlier.count
	if h.classic != nil {
		d.classic = slices.Clone(h.classic)
		for i, b := range earlier.classic {
			d.classic[i].until -= min(b.until, d.classic[i].until)
		}
		return d
	}
	// A histogram whose buckets have become too many has wider ones from then on.
	d = d.at(min(h.schema, earlier.schema))
	earlier = earlier.at(d.schema)
	d.zero -= min(earlier.zero, d.zero)
	for i, n := range earlier.buckets {
		d.buckets[i] -= min(n, d.buckets[i])
	}
	return d
}

// at returns the histogram with the wider buckets of a lower schema, as a copy.
func (h Histogram) at(schema int32) Histogram {
	buckets := maps.Clone(h.buckets)
	if buckets == nil { // of a process that tells how many there are, and no more
		buckets = map[int32]uint64{}
	}
	for ; h.schema > schema; h.schema-- {
		wider := map[int32]uint64{}
		for i, n := range buckets {
			wider[(i+1)>>1] += n
		}
		buckets = wider
	}
	h.buckets = buckets
	return h
}

// Quantile returns the value below which this share of all is, 0 to 1; false
// where there are none. Within a bucket it is estimated.
func (h Histogram) Quantile(share float64) (float64, bool) {
	if h.count == 0 {
		return 0, false
	}
	rank := share * float64(h.count)
	if h.classic != nil {
		return h.classicQuantile(rank), true
	}
	seen := float64(h.zero)
	if h.zero > 0 && rank <= seen {
		return h.threshold, true
	}
	last := h.threshold
	for _, i := range slices.Sorted(maps.Keys(h.buckets)) {
		n := float64(h.buckets[i])
		if n == 0 {
			continue
		}
		width := math.Exp2(math.Ldexp(1, int(-h.schema)))
		last = math.Pow(width, float64(i))
		if rank <= seen+n {
			return last / math.Pow(width, 1-(rank-seen)/n), true
		}
		seen += n
	}
	return last, true
}

func (h Histogram) classicQuantile(rank float64) float64 {
	begin, seen := 0.0, 0.0
	for _, b := range h.classic {
		if math.IsInf(b.end, 1) {
			break
		}
		if until := float64(b.until); rank <= until && until > seen {
			return begin + (b.end-begin)*(rank-seen)/(until-seen)
		}
		begin, seen = b.end, float64(b.until)
	}
	return begin // beyond the last bucket that ends
}
