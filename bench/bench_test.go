package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The command starts itself for some of its subjects; here it is the test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "noop" || os.Args[1] == "fill") {
		main()
		return
	}
	os.Exit(m.Run())
}

// The whole command, in little: it fails where an answer isn't the expected one.
func TestBench(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and runs servers")
	}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, "out", name) }
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{
		"-quick", "-duration", "50ms", "-rounds", "2", "-keys", "640", "-only", "^(unix|tcp)/.*/(noop.*|latchkey.*)$",
		"-json", file("bench.json"), "-svg", file("bench.svg"),
	}, &stdout, &stderr)
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, stderr.String())
	}

	var r report
	text, err := os.ReadFile(file("bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Scenarios) < 4 {
		t.Errorf("%d scenarios", len(r.Scenarios))
	}
	answered := 0
	for _, c := range r.Scenarios {
		if len(c.Results) != 3 {
			t.Errorf("%s: %d subjects", c.Name, len(c.Results))
		}
		for _, one := range c.Results {
			for _, m := range one.Measurements {
				// Where a machine is very busy, a moment may pass without an answer.
				if m.Answers > 0 && m.ServerCPU > 0 {
					answered++
				}
				if m.Answers > 0 && (m.PerSecond <= 0 || m.P50 <= 0 || m.P99 < m.P50 || m.Memory <= 0) {
					t.Errorf("%s/%s: %+v", c.Name, one.Subject, m)
				}
			}
			if len(one.Measurements) != 2 {
				t.Errorf("%s/%s: %d measurements", c.Name, one.Subject, len(one.Measurements))
			}
			if !strings.Contains(stdout.String(), one.Subject) {
				t.Errorf("%s isn't in the table:\n%s", one.Subject, stdout.String())
			}
		}
		if len(c.Ratios) != 4 { // each of the others to either no-op
			t.Errorf("%s: %d ratios", c.Name, len(c.Ratios))
		}
	}
	if answered == 0 {
		t.Error("nothing was answered in any of the measurements")
	}
	image, err := os.ReadFile(file("bench.svg"))
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, image)
}

func wellFormed(t *testing.T, text []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"-keys", "some"}, "no number of keys"},
		{[]string{"-keys", "1"}, "from 100 on"},
		{[]string{"-rounds", "0"}, "must be positive"},
		{[]string{"everything"}, "is no flag"},
		{[]string{"-only", "nothing", "-json", "", "-svg", ""}, "fits no measurement"},
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), c.args, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%q: exit code %d: %s", c.args, code, stderr.String())
		}
	}
}

func TestStopsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	if code := run(ctx, []string{"-latchkey", os.Args[0], "-keys", "100", "-json", "", "-svg", ""}, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "stopped") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}
