package main

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

const metricsDocument = "docs/metrics.md"

// TestDocsMetrics compares the tables of the document with what both processes export, with all that adds metrics switched on,
// and that with the conventions.
func TestDocsMetrics(t *testing.T) {
	config := filepath.Join(t.TempDir(), "observed.yaml")
	if err := os.WriteFile(config, []byte("decision_log: {output: stdout}\ntracing: {endpoint: '127.0.0.1:1', insecure: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := serveKodey(t, "--config", config)
	k.job("latchkey-sidecar --hub unix:hub.sock --data pod-1 --config " + config + " &")
	k.ask(t, "api.kodey.example", "/v1/chat", "none")
	everywhere := []string{"metric", "metric of a configuration file", "metric of the decision log", "metric of tracing"}
	t.Run("serve", func(t *testing.T) {
		at := k.address(t, "http")
		k.documented(t, at, nil, append(everywhere, "metric of a hub")...)
		nativeHistogram(t, at)
	})
	t.Run("sidecar", func(t *testing.T) {
		at := k.sidecarHTTP(t)
		// No check was asked for, and policy files are the hub's.
		k.documented(t, at, regexp.MustCompile(`^latchkey_(checks_total|policy_.*)$`), append(everywhere, "metric of a sidecar")...)
	})
	k.end()
}

// sidecarHTTP is where the sidecar that was started last serves its metrics.
func (k *kodey) sidecarHTTP(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(k.dir, "..", "job"+k.jobs[len(k.jobs)-1]))
	if err != nil {
		t.Fatal(err)
	}
	at := httpLine.FindSubmatch(text)
	if at == nil {
		t.Fatalf("the sidecar doesn't say where it listens:\n%s", text)
	}
	return string(at[1])
}

var httpLine = regexp.MustCompile(`"for":"http","address":"([^"]+)"`)

// documented compares tables of metrics with those of a process, but for those that it hasn't.
func (k *kodey) documented(t *testing.T, address string, hasNot *regexp.Regexp, heads ...string) {
	families := scraped(t, address, expfmt.FmtText)
	documented := map[string]bool{}
	for _, head := range heads {
		for _, row := range tableOf(t, metricsDocument, head) {
			documented[row[0]] = true
			is, ok := families[row[0]]
			switch {
			case !ok && (hasNot == nil || !hasNot.MatchString(row[0])):
				t.Errorf("%s has the metric %s, which /metrics has not", metricsDocument, row[0])
			case ok:
				if got, want := familyOf(is), (family{row[1], row[2]}); got != want {
					t.Errorf("%s says that %s is %v, it is %v", metricsDocument, row[0], want, got)
				}
			}
		}
	}
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !strings.HasPrefix(name, "latchkey_") {
			continue
		}
		if !documented[name] {
			t.Errorf("%s doesn't have the metric %s", metricsDocument, name)
		}
		if _, err := expfmt.MetricFamilyToText(&text, families[name]); err != nil {
			t.Fatal(err)
		}
	}
	if problems, err := promlint.New(&text).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// nativeHistogram: who asks for protobuf, as a Prometheus that stores native histograms does, gets one, with the classic buckets.
func nativeHistogram(t *testing.T, address string) {
	of := scraped(t, address, expfmt.NewFormat(expfmt.TypeProtoDelim))["latchkey_check_duration_seconds"]
	if len(of.GetMetric()) == 0 {
		t.Fatal("there is no histogram of checks")
	}
	switch h := of.GetMetric()[0].GetHistogram(); {
	case h.Schema == nil || len(h.GetPositiveSpan()) == 0:
		t.Errorf("it isn't native: %v", h)
	case h.GetSchema() < 2: // the least that has buckets a fifth apart
		t.Errorf("its buckets are as wide as those of schema %d", h.GetSchema())
	case len(h.GetBucket()) != 4:
		t.Errorf("it has %d classic buckets", len(h.GetBucket()))
	}
	if classic := scraped(t, address, expfmt.FmtText)["latchkey_check_duration_seconds"].GetMetric()[0].GetHistogram(); len(classic.GetBucket()) != 5 {
		t.Errorf("as text it has %d classic buckets, with that for all", len(classic.GetBucket()))
	}
}

// family is what is told of a metric.
type family struct{ kind, labels string }

func familyOf(f *dto.MetricFamily) family {
	var labels []string
	for _, l := range f.GetMetric()[0].GetLabel() {
		labels = append(labels, l.GetName())
	}
	return family{strings.ToLower(f.GetType().String()), strings.Join(labels, " ")}
}

// scraped returns what /metrics says, in a format.
func scraped(t *testing.T, address string, format expfmt.Format) map[string]*dto.MetricFamily {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", string(format))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	told := expfmt.ResponseFormat(answer.Header)
	if told.FormatType() != format.FormatType() {
		t.Fatalf("asked for %s, it answers %s", format, told)
	}
	families := map[string]*dto.MetricFamily{}
	for decoder := expfmt.NewDecoder(answer.Body, told); ; {
		f := &dto.MetricFamily{}
		if err := decoder.Decode(f); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return families
		}
		families[f.GetName()] = f
	}
}
