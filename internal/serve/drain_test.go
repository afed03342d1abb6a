package serve

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
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

// What answers goes on for the delay after the health has said that the process is going away.
func TestLingerComesBetween(t *testing.T) {
	for _, delay := range []time.Duration{0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var d diary
			var g Group
			began := time.Now()
			at := func(name string) func(context.Context) error {
				return func(ctx context.Context) error {
					<-ctx.Done()
					d.note(name + " after " + time.Since(began).String())
					return nil
				}
			}
			g.Add(Listen, "check", at("check"))
			g.Add(Announce, "health", at("health"))
			g.Add(Announce, "drain", Linger(discard(), func() time.Duration { return delay }))
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := g.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if want := []string{"health after 0s", "check after " + delay.String()}; !slices.Equal(d.notes, want) {
				t.Errorf("%v, want %v", d.notes, want)
			}
		})
	}
}
