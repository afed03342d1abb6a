package storage_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

func streamOf(puts ...*logv1.Put) []byte {
	var b bytes.Buffer
	for _, p := range puts {
		if _, err := protodelim.MarshalTo(&b, p); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// What isn't what the hub exported is never taken over, and nothing of it stays.
func TestStageRefuses(t *testing.T) {
	o := storage.Options{Compile: func(documents map[string][]byte) (any, error) {
		if string(documents["zzz"]) == "bad" {
			return nil, errCompile
		}
		return len(documents), nil
	}}
	hub, replica, dir := pairOf(t, o)
	written(t, hub)
	copyTo(t, hub, replica)
	commit(t, hub, storage.Change{Principals: []*directory.Principal{{ID: "user:ada"}, {ID: "user:bob"}}})
	e, b := exported(t, hub)
	puts := putsIn(t, b)
	change := func(f func(p []*logv1.Put) []*logv1.Put) []byte {
		var all []*logv1.Put
		for _, p := range puts {
			all = append(all, proto.CloneOf(p))
		}
		return streamOf(f(all)...)
	}
	last := len(puts) - 1
	for name, test := range map[string]struct {
		stream []byte
		want   string
	}{
		"nothing":         {nil, "the digest of its objects is"},
		"one is missing":  {change(func(p []*logv1.Put) []*logv1.Put { return p[1:] }), "the digest of its objects is"},
		"cut off":         {b[:len(b)-1], "it was cut off after"},
		"cut in a length": {append(bytes.Clone(b), 0x80), "it was cut off after"},
		"one is changed":  {change(func(p []*logv1.Put) []*logv1.Put { p[last].Value = []byte("2"); return p }), "the digest of its objects is"},
		"one comes twice": {change(func(p []*logv1.Put) []*logv1.Put { return append(p, p[last]) }), "out of order, or twice"},
		"out of order":    {change(func(p []*logv1.Put) []*logv1.Put { p[0], p[1] = p[1], p[0]; return p }), "out of order, or twice"},
		"kinds in disorder": {change(func(p []*logv1.Put) []*logv1.Put {
			return append([]*logv1.Put{p[last]}, p[:last]...)
		}), "out of order, or twice"},
		"sent twice":   {append(bytes.Clone(b), b...), "out of order, or twice"},
		"one too many": {change(func(p []*logv1.Put) []*logv1.Put { return append(p, &logv1.Put{Kind: 4, Name: "zzz"}) }), "the digest of its objects is"},
		"a bad policy": {change(func(p []*logv1.Put) []*logv1.Put {
			return append(p, &logv1.Put{Kind: 4, Name: "zzz", Value: []byte("bad")})
		}), "the digest of its objects is"},
		"a removal":       {change(func(p []*logv1.Put) []*logv1.Put { p[0].Removed = true; return p }), "it is removed"},
		"an unknown kind": {change(func(p []*logv1.Put) []*logv1.Put { p[last].Kind = 5; return p }), "of an unknown kind"},
		"no kind":         {change(func(p []*logv1.Put) []*logv1.Put { p[0].Kind = 0; return p }), "of an unknown kind"},
		"no name":         {change(func(p []*logv1.Put) []*logv1.Put { p[0].Name = ""; return p }), "its name can't be one"},
		"a long name":     {change(func(p []*logv1.Put) []*logv1.Put { p[0].Name = strings.Repeat("x", 40_000); return p }), "its name can't be one"},
		"another's name":  {change(func(p []*logv1.Put) []*logv1.Put { p[0].Name = "key_0"; return p }), "under another name than its own"},
		"a large object":  {change(func(p []*logv1.Put) []*logv1.Put { p[0].Value = make([]byte, 4<<20); return p }), "an object has"},
		"a huge object":   {[]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, "and the most is"},
		"no length":       {bytes.Repeat([]byte{0xff}, 11), "a length that isn't one"},
		"no message":      {[]byte{2, 0xff, 0xff}, "proto"},
	} {
		t.Run(name, func(t *testing.T) {
			before := dump(replica)
			s, err := replica.Stage(e.Position, e.Latest, e.Origin)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Write(test.stream)
			if err == nil {
				err = s.Finish(background)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if errors.Is(err, storage.ErrDamaged) {
				t.Errorf("the store is blamed: %v", err)
			}
			if _, err := s.Write([]byte{1}); err == nil {
				t.Error("it takes more")
			}
			if _, err := s.Swap(background, true); err == nil {
				t.Error("it is taken over")
			}
			left, err := filepath.Glob(filepath.Join(dir, "*.staged*"))
			if err != nil || len(left) > 0 {
				t.Errorf("it leaves %v, %v", left, err)
			}
			if diff := before.diff(dump(replica)); diff != "" {
				t.Errorf("%s differ after all", diff)
			}
		})
	}
	if err := replica.Check(); err != nil {
		t.Error(err)
	}
	copyTo(t, hub, replica)
}

// A bit that turns anywhere in a snapshot, and an end anywhere, keep it out.
func TestStageOfNoise(t *testing.T) {
	hub, replica, _ := pairOf(t, storage.Options{})
	written(t, hub)
	e, b := exported(t, hub)
	random := rand.New(rand.NewPCG(7, 7))
	most := 400
	if testing.Short() {
		most = 60
	}
	harmless := 0
	for i := range most {
		noisy := bytes.Clone(b)
		if at := random.IntN(len(b)); i%4 == 0 {
			noisy = noisy[:at]
		} else {
			noisy[at] ^= 1 << random.IntN(8)
		}
		s, err := replica.Stage(e.Position, e.Latest, e.Origin)
		if err != nil {
			t.Fatal(err)
		}
		piece := 1 + random.IntN(300)
		for part := range slices.Chunk(noisy, piece) {
			if _, err = s.Write(part); err != nil {
				break
			}
		}
		if err == nil {
			err = s.Finish(background)
		}
		if err == nil {
			// Only the way in which the message was put may differ.
			harmless++
			if _, err := s.Swap(background, false); err != nil {
				t.Fatal(err)
			}
			same(t, hub, replica)
		}
	}
	t.Logf("%d of %d were harmless", harmless, most)
	if harmless > most/10 {
		t.Error("too many to believe")
	}
	copyTo(t, hub, replica)
}

// One snapshot at a time: an earlier one is discarded, and Close discards it too.
func TestStageOneAtATime(t *testing.T) {
	hub, replica, dir := pairOf(t, storage.Options{})
	written(t, hub)
	e, b := exported(t, hub)
	first := stage(t, replica, e, b, 10)
	second := stage(t, replica, e, b, 1)
	if _, err := first.Swap(background, false); err == nil {
		t.Error("what was discarded is taken over")
	}
	if err := first.Discard(); err != nil { // and the second's file stays
		t.Fatal(err)
	}
	if _, err := second.Swap(background, false); err != nil {
		t.Fatal(err)
	}
	if at, err := second.Swap(background, false); err != nil || at != e.Position {
		t.Errorf("once more: %v, %v", at, err)
	}
	if _, err := second.Write(nil); err == nil {
		t.Error("what was taken over takes more")
	}
	same(t, hub, replica)
	third := stage(t, replica, e, b, 1000)
	storagetest.Close(t, replica)
	if _, err := third.Swap(background, false); err == nil {
		t.Error("it outlives the store")
	}
	if _, err := replica.Stage(e.Position, e.Latest, e.Origin); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, storage.FileName+".staged")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the staged file: %v", err)
	}
	// What a crash leaves is removed.
	if err := os.WriteFile(filepath.Join(dir, storage.FileName+".staged"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	if _, err := os.Lstat(filepath.Join(dir, storage.FileName+".staged")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a leftover: %v", err)
	}
	if _, err := replica.Stage(storage.Position{}, start, ""); err == nil {
		t.Error("a snapshot of nothing that is anywhere")
	}
}
