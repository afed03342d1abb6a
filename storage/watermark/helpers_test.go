package watermark

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func position(epoch, revision uint64) *logv1.Position {
	digest := sha256.Sum256(fmt.Append(nil, epoch, revision))
	return &logv1.Position{Epoch: epoch, Revision: revision, Digest: digest[:]}
}

// mark is a mark of epoch 1.
func mark(revision uint64, puts ...*logv1.Put) *logv1.Mark {
	at := timestamppb.New(start.Add(time.Duration(revision) * time.Second))
	return &logv1.Mark{Position: position(1, revision), At: at, Action: "keys.update", Puts: puts}
}

func base(revision uint64, revoked ...string) *logv1.Mark {
	m := mark(revision)
	m.Revoked = revoked
	return m
}

// putKey is a key's new state, with a description of some length.
func putKey(t failer, id string, revoked bool, filler int) *logv1.Put {
	t.Helper()
	r := &keyv1.Record{Id: id, Description: fmt.Sprintf("%0*d", filler, 0)}
	if revoked {
		r.Revoked = timestamppb.New(start)
	}
	value, err := proto.Marshal(r)
	must(t, err)
	return &logv1.Put{Kind: logv1.Kind_KIND_KEY, Name: id, Value: value}
}

// file is a path for a watermark in a folder of its own.
func file(t testing.TB) string { return filepath.Join(t.TempDir(), Name) }

func bytesOf(t failer, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

func contents(t failer, path string) *Contents {
	t.Helper()
	c, err := Read(path)
	must(t, err)
	return c
}

// whole expects a file with these marks, and nothing wrong.
func whole(t failer, path string, want []*logv1.Mark) *Contents {
	t.Helper()
	c := contents(t, path)
	if c.Damage != nil || c.Torn {
		t.Fatalf("damage %v, torn %t", c.Damage, c.Torn)
	}
	same(t, c.Marks, want)
	return c
}

func same(t failer, got, want []*logv1.Mark) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d marks, want %d", len(got), len(want))
	}
	for i := range got {
		if !proto.Equal(got[i], want[i]) {
			t.Fatalf("mark %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// closed closes f at the end of a test.
func closed(t testing.TB, f *File) *File {
	t.Helper()
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func keys[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }

func sorted(words []string) string {
	slices.Sort(words)
	return strings.Join(words, " ")
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
