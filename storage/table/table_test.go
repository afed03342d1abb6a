package table_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/storage/table"
)

// Entries of these tests are a length, a name of that length, and a value.
func nameOf(entry []byte) []byte { return entry[1 : 1+entry[0]] }

func entry(name string, value []byte) []byte {
	return append(append([]byte{byte(len(name))}, name...), value...)
}

func contents(t *table.Table) map[string]string {
	m := map[string]string{}
	t.Each(func(e []byte) bool { m[string(nameOf(e))] = string(e); return true })
	return m
}

// check compares a table with a map in every way there is.
func check(t interface {
	Helper()
	Fatalf(string, ...any)
}, got *table.Table, want map[string]string,
) {
	t.Helper()
	if got.Len() != len(want) {
		t.Fatalf("Len is %d, want %d", got.Len(), len(want))
	}
	if c := contents(got); !maps.Equal(c, want) {
		t.Fatalf("it has %d entries: others than the %d that were put", len(c), len(want))
	}
	for name, e := range want {
		if is := got.GetString(name); string(is) != e {
			t.Fatalf("%q is %q, want %q", name, is, e)
		}
	}
	if got.GetString("no such name") != nil {
		t.Fatalf("found what isn't there")
	}
}

// Whatever is done to a table is what is done to a map, and no table changes by
// what is made from it.
func TestTableAgainstMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			table *table.Table
			want  map[string]string
		}
		all := []version{{table.New(nameOf), map[string]string{}}}
		names := rapid.SampledFrom([]int{3, 30, 300, 3000}).Draw(t, "names")
		for range rapid.IntRange(1, 8).Draw(t, "edits") {
			from := all[rapid.IntRange(0, len(all)-1).Draw(t, "from")]
			edit, want := from.table.Edit(), maps.Clone(from.want)
			seed := rapid.Uint32().Draw(t, "seed")
			for i := range rapid.IntRange(0, 2*names).Draw(t, "changes") {
				seed = seed*1664525 + 1013904223
				name := fmt.Sprint("n", int(seed>>8)%names)
				if seed>>4&7 == 0 {
					edit.Delete([]byte(name))
					delete(want, name)
					continue
				}
				e := entry(name, bytes.Repeat([]byte{byte(i)}, int(seed%400)))
				edit.Put(e)
				want[name] = string(e)
				clear(e) // it was copied
			}
			all = append(all, version{edit.Table(), want})
		}
		for _, v := range all {
			check(t, v.table, v.want)
		}
	})
}

// What a Builder makes of entries, in whatever order and by however many, is
// what an Edit makes of them.
func TestBuilderAgainstMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 2, 50, 5000}).Draw(t, "entries")
		size := rapid.SampledFrom([]int{0, 30, 3000}).Draw(t, "size")
		builder, want := table.NewBuilder(nameOf), map[string]string{}
		others := []*table.Builder{table.NewBuilder(nameOf), table.NewBuilder(nameOf)}
		for i := range n {
			e := entry(fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, size))
			others[i%2].Add(e)
			want[fmt.Sprint(i)] = string(e)
			clear(e) // it was copied
		}
		for _, o := range others {
			builder.Join(o)
		}
		got, err := builder.Table()
		if err != nil {
			t.Fatalf("%v", err)
		}
		check(t, got, want)
		edit := got.Edit()
		for i := range n / 2 {
			edit.Delete([]byte(fmt.Sprint(i)))
			delete(want, fmt.Sprint(i))
		}
		edit.Put(entry("another", nil))
		want["another"] = string(entry("another", nil))
		check(t, edit.Table(), want)
	})
}

func TestBuilderTellsOfNamesThatComeTwice(t *testing.T) {
	builder := table.NewBuilder(nameOf)
	for i := range 1000 {
		builder.Add(entry(fmt.Sprint(i), nil))
	}
	builder.Add(entry("77", []byte("again")))
	got, err := builder.Table()
	var twice *table.TwiceError
	if !errors.As(err, &twice) || string(nameOf(twice.Entry)) != "77" || got.Len() != 1000 {
		t.Errorf("%d entries, %v", got.Len(), err)
	}
}

// Entries far larger than a leaf of small ones have a leaf each.
func TestLargeEntries(t *testing.T) {
	edit, want := table.New(nameOf).Edit(), map[string]string{}
	for i := range 200 {
		e := entry(fmt.Sprint(i), make([]byte, i*i*10))
		edit.Put(e)
		want[fmt.Sprint(i)] = string(e)
	}
	check(t, edit.Table(), want)
}

// A change to one entry of many copies little.
func TestAChangeIsSmall(t *testing.T) {
	full, e := fill(t, 100_000), entry("12345678", make([]byte, 60))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const changes = 1000
	for i := range uint64(changes) {
		binary.BigEndian.PutUint64(e[1:], i*997)
		edit := full.Edit()
		edit.Put(e)
		full = edit.Table()
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / changes; each > 64<<10 {
		t.Errorf("one change allocates %d bytes", each)
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	full := fill(t, 1000)
	name := binary.BigEndian.AppendUint64(nil, 77)
	if n := testing.AllocsPerRun(100, func() {
		if full.Get(name) == nil {
			t.Error("it is missing")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func fill(t testing.TB, n int) *table.Table {
	edit := table.New(nameOf).Edit()
	e := entry("12345678", make([]byte, 60))
	for i := range n {
		binary.BigEndian.PutUint64(e[1:], uint64(i))
		edit.Put(e)
	}
	return edit.Table()
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			full := fill(b, n)
			b.ReportMetric(float64(full.Bytes())/float64(n), "B/entry")
			names := make([][]byte, 1<<16)
			for i := range names {
				names[i] = binary.BigEndian.AppendUint64(nil, uint64(i*7919%n))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if full.Get(names[i&(1<<16-1)]) == nil {
					b.Fatal("it is missing")
				}
				i++
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	e := entry("12345678", make([]byte, 60))
	for b.Loop() {
		builder := table.NewBuilder(nameOf)
		for i := range 1_000_000 {
			binary.BigEndian.PutUint64(e[1:], uint64(i))
			builder.Add(e)
		}
		if _, err := builder.Table(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFill(b *testing.B) {
	for b.Loop() {
		fill(b, 1_000_000)
	}
}

func BenchmarkPutOne(b *testing.B) {
	full := fill(b, 1_000_000)
	e := entry("12345678", make([]byte, 60))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		binary.BigEndian.PutUint64(e[1:], uint64(i*7919%2_000_000))
		edit := full.Edit()
		edit.Put(e)
		full = edit.Table()
	}
}
