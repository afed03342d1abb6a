package serve

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
)

func TestParseDrainDelay(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "0s": 0, "5s": 5 * time.Second, "5m": 5 * time.Minute} {
		if got, err := ParseDrainDelay(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"5", "-1s", "6m", "1.5s", "for ever"} {
		if d, err := ParseDrainDelay(text); err == nil {
			t.Errorf("%q is taken for %v", text, d)
		}
	}
}

// With a delay the health says first that the process is going away, for good, and what answers goes on for the delay.
// Without one it says nothing.
func TestLeave(t *testing.T) {
	for _, delay := range []time.Duration{0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var d diary
			var g Group
			h := NewHealth()
			h.SetReady(true)
			began := time.Now()
			readiness := func() string {
				h.SetReady(true) // has no effect any more
				r, err := h.checks.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: Readiness})
				if err != nil {
					t.Error(err)
				}
				return r.GetStatus().String() + " after " + time.Since(began).String()
			}
			g.Add(Listen, "check", func(ctx context.Context) error {
				synctest.Wait()
				d.note(readiness())
				<-ctx.Done()
				d.note(readiness())
				return nil
			})
			log := slog.New(slog.NewTextHandler(written(func(line string) {
				for _, word := range []string{"draining", "stopping"} {
					if strings.Contains(line, word) {
						d.note(word + " after " + time.Since(began).String())
					}
				}
			}), nil))
			g.Add(Announce, "health", h.Leave(log, func() time.Duration { return delay }))
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := g.Run(ctx); err != nil {
				t.Fatal(err)
			}
			want := []string{"draining after 0s", "NOT_SERVING after 0s", "stopping after 5s", "NOT_SERVING after 5s"}
			if delay == 0 {
				want = []string{"SERVING after 0s", "SERVING after 0s", "stopping after 0s"}
				slices.Sort(d.notes) // at the same moment
			}
			if !slices.Equal(d.notes, want) {
				t.Errorf("%v, want %v", d.notes, want)
			}
		})
	}
}

// written is what a log writes, line by line.
type written func(line string)

func (w written) Write(line []byte) (int, error) {
	w(string(line))
	return len(line), nil
}
