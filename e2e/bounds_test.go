package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/latchkey/latchkey/internal/oracle"
)

// dialCheck connects to a server's Check as Envoy does.
func (s *server) dialCheck(tb testing.TB) authv3.AuthorizationClient {
	tb.Helper()
	conn, err := grpc.NewClient("unix:"+s.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return authv3.NewAuthorizationClient(conn)
}

// garbage is a request with a well-formed key that was never issued.
func garbage(r *rand.Rand) *authv3.CheckRequest {
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	secret := make([]byte, 30)
	for i := range secret {
		secret[i] = base62[r.IntN(len(base62))]
	}
	return checkRequest(oracle.Request{
		Method: "GET", Host: "api.kodey.example", Path: "/v1/" + strconv.FormatUint(r.Uint64(), 36),
		Headers: []oracle.Header{{Name: "authorization", Value: "Bearer sk_live_" + string(secret)}, {Name: "x-request-id", Value: strconv.FormatUint(r.Uint64(), 36)}},
	})
}

// flood sends n distinct garbage keys, 64 at a time.
func flood(t *testing.T, check authv3.AuthorizationClient, n int, seed uint64) {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var workers sync.WaitGroup
	for i := range 64 {
		workers.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for left.Add(-1) >= 0 {
				got, err := check.Check(context.Background(), garbage(r))
				if err != nil || got.GetDeniedResponse().GetStatus().GetCode() != 401 {
					t.Errorf("a garbage key is answered %v, %v", got.GetDeniedResponse().GetStatus(), err)
					return
				}
			}
		})
	}
	workers.Wait()
}

// resident returns the resident memory of a process, in KiB.
func resident(tb testing.TB, pid int) int {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				tb.Fatal(err)
			}
			return kib
		}
	}
	tb.Fatal("no VmRSS")
	return 0
}

// series counts the lines of /metrics that hold a value.
func series(metrics string) int {
	n := 0
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// TestGarbageKeysCostNothing floods the server with keys that nobody issued.
// LATCHKEY_GARBAGE sets how many.
func TestGarbageKeysCostNothing(t *testing.T) {
	n := 200_000
	if text := os.Getenv("LATCHKEY_GARBAGE"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	s := serveAt(t, "info")
	s.load(t, oracle.Fixture())
	check := s.dialCheck(t)
	flood(t, check, 20_000, 1) // so that pools and stacks have their size
	memory, lines := resident(t, s.cmd.Process.Pid), series(s.metrics(t))
	flood(t, check, n, 2)
	grown := 0
	eventually(t, "the memory of before", func() error {
		// What is only garbage goes; a busy machine gets to that late.
		if grown = resident(t, s.cmd.Process.Pid) - memory; grown >= 16<<10 {
			s.collect(t)
			return fmt.Errorf("resident memory grew by %d KiB", grown)
		}
		return nil
	})
	after := series(s.metrics(t))
	t.Logf("%d garbage keys: resident memory %d KiB and %+d KiB, %d series before, %d after", n, memory, grown, lines, after)
	if after != lines {
		t.Errorf("%d metric series became %d", lines, after)
	}
}
