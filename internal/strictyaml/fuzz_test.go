package strictyaml

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
	tablev1 "github.com/latchkey/latchkey/proto/latchkey/table/v1"
)

// FuzzDecode: whatever the bytes, there is a message or there are mistakes
// with places in the file, never both.
func FuzzDecode(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if src, err := os.ReadFile(path); err == nil && len(src) < 2000 {
				f.Add(src)
			}
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		lines := strings.Count(string(src), "\n") + 1
		for _, message := range []proto.Message{&policyv1.Policy{}, &directoryv1.Directory{}, &tablev1.Table{}} {
			source, err := Decode("f.yaml", src, message)
			if err == nil {
				if line, column, _ := source.At("name"); line < 1 || column < 1 || line > lines {
					t.Fatalf("the name is at %d:%d of %d lines", line, column, lines)
				}
				again := message.ProtoReflect().New().Interface()
				if _, err := Decode("f.yaml", src, again); err != nil || !proto.Equal(message, again) {
					t.Fatalf("read twice, differs: %v", err)
				}
				continue
			}
			if source != nil || proto.Size(message) != 0 {
				t.Fatalf("mistakes and a message: %v", message)
			}
			var mistakes Mistakes
			if !errors.As(err, &mistakes) || len(mistakes) == 0 || len(mistakes) > MaxMistakes {
				t.Fatalf("no list of mistakes: %v", err)
			}
			for i, m := range mistakes {
				if m.Line < 1 || m.Line > lines || m.Column < 1 || m.Message == "" || m.Remedy == "" {
					t.Fatalf("of %d lines: %#v", lines, m)
				}
				if i > 0 && m.Line < mistakes[i-1].Line {
					t.Fatalf("not in order: %v", mistakes)
				}
			}
			if text := err.Error(); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' }) {
				t.Fatalf("control characters in %q", text)
			}
		}
	})
}
