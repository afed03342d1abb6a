package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
	tablev1 "github.com/latchkey/latchkey/proto/latchkey/table/v1"
)

var update = flag.Bool("update", false, "write the golden files")

// messageFor is what a file of testdata is read into: its first line says, a policy when it does not.
func messageFor(src []byte) proto.Message {
	first, _, _ := bytes.Cut(src, []byte{'\n'})
	switch string(first) {
	case "# into: table":
		return &tablev1.Table{}
	case "# into: directory":
		return &directoryv1.Directory{}
	case "# into: serve":
		return &configv1.Serve{}
	}
	return &policyv1.Policy{}
}

// files calls f for each YAML file of a folder of testdata.
func files(t *testing.T, folder string, f func(t *testing.T, path string, src []byte)) {
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f(t, path, src)
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestBrokenFilesEarnTheirMessages(t *testing.T) {
	files(t, "bad", func(t *testing.T, path string, src []byte) {
		message := messageFor(src)
		source, err := Decode(filepath.Base(path), src, message)
		var mistakes Mistakes
		if !errors.As(err, &mistakes) || len(mistakes) == 0 || source != nil {
			t.Fatalf("got %v, %v, want mistakes", source, err)
		}
		if proto.Size(message) > 0 {
			t.Errorf("the message was filled: %v", message)
		}
		for _, m := range mistakes {
			if m.File == "" || m.Line < 1 || m.Column < 1 || m.Message == "" || m.Remedy == "" {
				t.Errorf("incomplete: %#v", m)
			}
		}
		golden(t, strings.TrimSuffix(path, ".yaml")+".golden", err.Error()+"\n")
	})
}

func TestGoodFilesAreReadWhole(t *testing.T) {
	files(t, "good", func(t *testing.T, path string, src []byte) {
		message := messageFor(src)
		if _, err := Decode(filepath.Base(path), src, message); err != nil {
			t.Fatal(err)
		}
		// protojson varies its white space on purpose; its members do not vary.
		text, err := protojson.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := json.Indent(&b, text, "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(path, ".yaml")+".golden", b.String()+"\n")
	})
}
