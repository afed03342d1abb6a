package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/internal/oracle"
)

// flooding is one way to make the process take memory, and how much more it
// may take by it than it did at rest, in MiB. docs/performance.md says where most
// of it comes from; some is garbage that isn't collected yet.
type flooding struct {
	name  string
	bound int
	limit string // of latchkey_refused_total that it must have reached, if any
	run   func(ctx context.Context, f *flooded)
}

// returned is how near the memory comes to what it was at rest once a flood is
// over, in MiB: what the pools of gRPC hold goes back a little later.
const returned = 48

// flooded is the server under a flood.
type flooded struct {
	t      *testing.T
	socket string
	random *rand.Rand
	mu     sync.Mutex
	did    map[string]int
}

// note counts what a flood did, for the log.
func (f *flooded) note(what string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did[what] += n
}

// TestFloods floods a real process in every way, and holds what it takes of
// memory against its bound. LATCHKEY_FLOOD is how long each flood lasts.
func TestFloods(t *testing.T) {
	d := 1500 * time.Millisecond
	if text := os.Getenv("LATCHKEY_FLOOD"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			t.Fatalf("LATCHKEY_FLOOD: %v", err)
		}
	}
	w := oracle.Fixture()
	s := serveAt(t, "info")
	s.load(t, w)
	check := s.dialCheck(t)
	flood(t, check, 20_000, 1) // so that pools and stacks have their size
	pid := s.cmd.Process.Pid
	s.collect(t)
	rest := memoryOf(t, pid, "RssAnon")
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-28s %8s %8s %8s | %s\n", "MiB of private memory", "before", "most", "after", "honest checks, and what the flood did")
	for _, flooding := range floodings {
		t.Run(flooding.name, func(t *testing.T) {
			// Begins VmHWM anew.
			if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
				t.Fatal(err)
			}
			goroutines, before, refused := s.gauge(t, "go_goroutines"), memoryOf(t, pid, "RssAnon"), s.refused(t, flooding.limit)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f := &flooded{t: t, socket: s.socket(), random: rand.New(rand.NewPCG(1, 2)), did: map[string]int{}}
			most := before
			var beside sync.WaitGroup
			beside.Go(func() { most = max(most, s.mostMemory(ctx, t, pid)) })
			var honest int
			beside.Go(func() { honest = honestChecks(ctx, t, check, w) })
			beside.Go(func() { flooding.run(ctx, f) })
			pause(ctx, d)
			eventually(t, "the limit is reached", func() error {
				if flooding.limit != "" && s.refused(t, flooding.limit) == refused {
					return fmt.Errorf("%s: still %v", flooding.limit, refused)
				}
				return nil
			})
			cancel()
			beside.Wait()
			eventually(t, "as many goroutines as before", func() error {
				if now := s.gauge(t, "go_goroutines"); now > goroutines+2 {
					return fmt.Errorf("%v, before %v", now, goroutines)
				}
				return nil
			})
			most = max(most, memoryOf(t, pid, "VmHWM")-memoryOf(t, pid, "RssFile")) // of any moment
			var after float64
			eventually(t, "the memory of before", func() error {
				s.collect(t) // what lay in pools goes with the second one
				if after = memoryOf(t, pid, "RssAnon"); after > rest+returned {
					return fmt.Errorf("%.1f MiB, at rest %.1f", after, rest)
				}
				return nil
			})
			fmt.Fprintf(&table, "%-28s %8.1f %8.1f %8.1f | %d, %v\n", flooding.name, before, most, after, honest, f.did)
			if most-rest > float64(flooding.bound) {
				t.Errorf("private memory is %.1f MiB more than at rest, and may be %d", most-rest, flooding.bound)
			}
		})
	}
	t.Log(table.String())
}

// honestChecks asks as Envoy does, some at a time, and returns how often. Every
// answer must be there and right.
func honestChecks(ctx context.Context, t *testing.T, check authv3.AuthorizationClient, w *oracle.World) int {
	good := checkRequest(oracle.Request{
		Method: "POST", Host: "api.kodey.example", Path: "/v1/chat",
		Headers: []oracle.Header{{Name: "authorization", Value: "Bearer " + w.Find("kodey-sk").Token}},
	})
	var n atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(i)))
			for {
				limit, cancel := context.WithTimeout(context.Background(), 3*patience) // the flood takes most of the machine
				allowed, err := check.Check(limit, good)
				if err != nil || allowed.GetOkResponse() == nil {
					t.Errorf("a good key is answered %v, %v", allowed.GetDeniedResponse().GetStatus(), err)
				}
				denied, err := check.Check(limit, garbage(random))
				if err != nil || denied.GetDeniedResponse().GetStatus().GetCode() != 401 {
					t.Errorf("a garbage key is answered %v, %v", denied.GetDeniedResponse().GetStatus(), err)
				}
				cancel()
				n.Add(2)
				if pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return int(n.Load())
}

// exhausted reports whether a limit answered a call.
func exhausted(err error) bool { return status.Code(err) == codes.ResourceExhausted }

// mostMemory returns the most private memory that was seen until the context
// ended, in MiB.
func (s *server) mostMemory(ctx context.Context, t *testing.T, pid int) (most float64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		most = max(most, memoryOf(t, pid, "RssAnon"))
		select {
		case <-ctx.Done():
			return most
		case <-tick.C:
		}
	}
}

// memoryOf returns one of the lines of /proc/PID/status, in MiB.
func memoryOf(t *testing.T, pid int, line string) float64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Error(err)
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\n"+line+":")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Errorf("%s: %v", line, err)
	}
	return kib / 1024
}

// collect makes the process collect its garbage.
func (s *server) collect(t *testing.T) {
	t.Helper()
	resp, err := http.Get("http://" + s.http + "/debug/pprof/heap?gc=1")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

// gauge returns a metric without labels, or with the given ones.
func (s *server) gauge(t *testing.T, name string) float64 {
	t.Helper()
	_, rest, ok := strings.Cut(s.metrics(t), "\n"+name+" ")
	if !ok {
		t.Fatalf("no metric %s", name)
	}
	var value float64
	if _, err := fmt.Sscan(rest, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func (s *server) refused(t *testing.T, limit string) float64 {
	t.Helper()
	if limit == "" {
		return 0
	}
	return s.gauge(t, fmt.Sprintf(`latchkey_refused_total{limit=%q}`, limit))
}
