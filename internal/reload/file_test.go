package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// bench is a file, with what became of its contents.
type bench struct {
	*File
	t    *testing.T
	path string
	log  bytes.Buffer
	used chan string
}

// newBench returns a file that says "one". What begins with "bad" can't be used, and what follows a colon takes a restart.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "serve.yaml"), used: make(chan string, 100)}
	b.write("one")
	b.File = NewFile(b.path, []byte("one"), slog.New(slog.NewTextHandler(&b.log, nil)), func(_ context.Context, source []byte) ([]string, error) {
		text, restart, _ := strings.Cut(string(source), ":")
		if strings.HasPrefix(text, "bad") {
			return nil, errors.New("a mistake")
		}
		b.used <- text
		return strings.Fields(restart), nil
	})
	return b
}

func (b *bench) write(text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// figure returns the value of a metric, by its name and the value of its label.
func (b *bench) figure(name, label string) float64 {
	b.t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(b.Collectors()...)
	families, err := r.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return value(m)
			}
		}
	}
	b.t.Fatalf("there is no metric %s of %q", name, label)
	return 0
}

func value(m *dto.Metric) float64 {
	if m.GetCounter() != nil {
		return m.GetCounter().GetValue()
	}
	return m.GetGauge().GetValue()
}

func TestReload(t *testing.T) {
	b := newBench(t)
	const gone = "\x00"
	for i, step := range []struct {
		text               string
		success, failure   float64
		problems, warnings int // shown now, and logged so far
		restart            float64
		says               string // one of the problems
	}{
		{"one", 0, 0, 0, 0, 0, ""},
		{"two", 1, 0, 0, 0, 0, ""},
		{"two", 1, 0, 0, 0, 0, ""},
		{"bad", 1, 1, 1, 1, 0, "a mistake"},
		{"bad", 1, 1, 1, 1, 0, "a mistake"},
		{"bad again", 1, 2, 1, 2, 0, "a mistake"}, // another content is told of, though the mistake is the same
		{"two", 2, 2, 0, 2, 0, ""},
		{"", 2, 3, 1, 3, 0, "the file is empty"},
		{gone, 2, 4, 1, 4, 0, "no such file"},
		{gone, 2, 4, 1, 4, 0, "no such file"},
		{"three: listen data", 3, 4, 2, 6, 1, "restart to use the new listen"},
		{"three: listen data", 3, 4, 2, 6, 1, "restart to use the new data"},
		{"bad", 3, 5, 3, 7, 1, "restart to use the new listen"}, // what is in use still takes one
		{"four: data", 4, 5, 1, 8, 1, "restart to use the new data"},
		{"one", 5, 5, 0, 8, 0, ""},
	} {
		if step.text == gone {
			if err := os.Remove(b.path); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		} else {
			b.write(step.text)
		}
		b.Reload(t.Context())
		where := fmt.Sprintf("step %d, %q", i, step.text)
		if s, f := b.figure("latchkey_config_reloads_total", "success"), b.figure("latchkey_config_reloads_total", "failure"); s != step.success || f != step.failure {
			t.Errorf("%s: %v successes and %v failures, want %v and %v", where, s, f, step.success, step.failure)
		}
		problems := b.Problems()
		if len(problems) != step.problems || !strings.Contains(strings.Join(problems, "\n"), step.says) {
			t.Errorf("%s: the problems are %q", where, problems)
		}
		if got := strings.Count(b.log.String(), "level=ERROR") + strings.Count(b.log.String(), "level=WARN"); got != step.warnings {
			t.Errorf("%s: %d times told of a problem, want %d:\n%s", where, got, step.warnings, b.log.String())
		}
		if got := b.figure("latchkey_config_restart_required", ""); got != step.restart {
			t.Errorf("%s: a restart is required: %v", where, got)
		}
	}
	if got := b.figure("latchkey_config_last_reload_success_timestamp_seconds", ""); time.Since(time.Unix(int64(got), 0)) > time.Minute {
		t.Errorf("the last success was at %v", got)
	}
}

// People are answered while a content is being put in use, however long that takes.
func TestProblemsWaitForNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "serve.yaml")
	if err := os.WriteFile(path, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	began, goOn := make(chan struct{}), make(chan struct{})
	f := NewFile(path, []byte("one"), slog.New(slog.DiscardHandler), func(context.Context, []byte) ([]string, error) {
		close(began)
		<-goOn
		return nil, nil
	})
	done := make(chan struct{})
	go func() { defer close(done); f.Reload(context.Background()) }()
	<-began
	if p := f.Problems(); p != nil {
		t.Errorf("problems %q", p)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(f.Collectors()...)
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
	close(goOn)
	<-done
}

// The kubelet swaps a link to a folder; the file itself is a link through it and doesn't change.
func TestFileBehindALinkIsFollowed(t *testing.T) {
	b := newBench(t)
	dir := filepath.Dir(b.path)
	for _, version := range []string{"..one", "..two"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, version, "serve.yaml"), []byte(strings.TrimPrefix(version, "..")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(b.path), os.Symlink("..one", filepath.Join(dir, "..data")), os.Symlink(filepath.Join("..data", "serve.yaml"), b.path)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	if err := errors.Join(os.Symlink("..two", filepath.Join(dir, "..data_tmp")), os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-b.used:
		if text != "two" {
			t.Errorf("%q is in use", text)
		}
	case <-time.After(9 * time.Second): // before files are polled
		t.Error("the swap wasn't seen")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// docs/metrics.md is held against the processes.
func TestMetricsFollowTheConventions(t *testing.T) {
	r := prometheus.NewRegistry()
	r.MustRegister(newBench(t).Collectors()...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	if problems, err := promlint.New(&text).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
