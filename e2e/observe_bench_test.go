package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/latchkey/latchkey/internal/oracle"
)

// BenchmarkObserved is what a check costs the process, in CPU, with what observes it: a denial, which is written down.
func BenchmarkObserved(b *testing.B) {
	for _, c := range []struct{ name, config string }{
		{"nothing", "log_level: error\n"},
		{"decision log", "decision_log: {output: file, path: decisions.ndjson, max_files: 1}\n"},
		{"tracing, none sampled", "tracing: {endpoint: '127.0.0.1:1', insecure: true}\n"},
		{"tracing, all sampled and lost", "tracing: {endpoint: '127.0.0.1:1', insecure: true, sample_ratio: 1}\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			config := filepath.Join(dir, "serve.yaml")
			if err := os.WriteFile(config, []byte(c.config), 0o600); err != nil {
				b.Fatal(err)
			}
			s := &server{data: filepath.Join(dir, "d"), http: freePort(b), level: "error", flags: []string{"--config", config}}
			s.start(b, examplePolicies(b)...)
			conn, err := grpc.NewClient("unix:"+s.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			check := authv3.NewAuthorizationClient(conn)
			question := checkRequest(oracle.Request{Method: "GET", Host: "api.kodey.example", Path: "/v1/agents"})
			before := s.cpu(b)
			b.ResetTimer()
			var all sync.WaitGroup
			for i := range 32 {
				all.Go(func() {
					for range (b.N + i) / 32 {
						if _, err := check.Check(context.Background(), question); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.StopTimer()
			b.ReportMetric(1e6*(s.cpu(b)-before)/float64(b.N), "cpu-µs/check")
		})
	}
}

// cpu is how much of it the process has used, in seconds.
func (s *server) cpu(tb testing.TB) float64 {
	tb.Helper()
	found := regexp.MustCompile(`(?m)^process_cpu_seconds_total (\S+)$`).FindStringSubmatch(s.metrics(tb))
	if found == nil {
		tb.Fatal("the process doesn't tell its CPU")
	}
	seconds, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		tb.Fatal(err)
	}
	return seconds
}
