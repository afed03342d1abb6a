package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The command starts itself to make stores; here it is the test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "fill" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The whole command, in little. It fails by itself where a key isn't dead somewhere, a receipt isn't complete, a revision
// is missing or a request through Envoy isn't answered as it should.
func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and runs a fleet")
	}
	file := filepath.Join(t.TempDir(), "out", "fleet.json")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-quick", "-json", file}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, stderr.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Revokes) != 2 || len(r.Costs) != 2 || len(r.Deltas) != len(sizes) || len(r.Fresh) != 1 {
		t.Fatalf("%d fleets, %d crowds, %d sizes and %d new sidecars", len(r.Revokes), len(r.Costs), len(r.Deltas), len(r.Fresh))
	}
	for _, one := range r.Revokes {
		if one.Real != 1 || len(one.Answer) != 5 || len(one.Last) != 5 || len(one.Light) != 5 || len(one.Behind) != 5 || len(one.Receipt) != 5 || summarize(one.Answer).P50 <= 0 {
			t.Errorf("over %s: %+v", one.Link, one)
		}
	}
	for _, one := range r.Costs {
		if one.Followers != 10 || one.HubResident == 0 || one.DeltaBytes < 100 || one.DeltaBytes > 1000 {
			t.Errorf("over %s: %+v", one.Link, one)
		}
	}
	for i, one := range r.Deltas {
		if one.Keys != sizes[i] || one.Bytes < float64(100*one.Keys) {
			t.Errorf("%+v", one)
		}
	}
	if one := r.Fresh[0]; one.Snapshot == 0 || one.SidecarFile == 0 || one.Serving <= 0 || one.Restart <= 0 || one.SidecarPeak == 0 {
		t.Errorf("%+v", one)
	}
	for _, title := range []string{"revokes:", "cost of a follower", "writes by size", "a new sidecar"} {
		if !strings.Contains(stdout.String(), title) {
			t.Errorf("there is no table %q:\n%s", title, stdout.String())
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"-parts", "everything"}, "no part"},
		{[]string{"-links", "pigeon"}, "no link"},
		{[]string{"-fleets", "0"}, "no number from 1 on"},
		{[]string{"-writes", "0"}, "must be positive"},
		{[]string{"-keys", "100"}, "are revoked or in use"},
		{[]string{"everything"}, "is no flag"},
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
	if code := run(ctx, []string{"-latchkey", os.Args[0], "-sidecar", os.Args[0], "-json", ""}, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "stopped") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}

func TestSummarize(t *testing.T) {
	var all []time.Duration
	for n := 200; n > 0; n-- {
		all = append(all, time.Duration(n))
	}
	for _, c := range []struct {
		of   []time.Duration
		want summary
	}{
		{nil, summary{}},
		{all[199:], summary{1, 1, 1}},
		{all[197:], summary{2, 3, 3}},
		{all, summary{100, 198, 200}},
	} {
		if got := summarize(c.of); got != c.want {
			t.Errorf("of %d: %+v, want %+v", len(c.of), got, c.want)
		}
	}
}
