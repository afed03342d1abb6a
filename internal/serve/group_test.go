package serve

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

// diary notes what happens, in order.
type diary struct {
	mu    sync.Mutex
	notes []string
}

func (d *diary) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, text)
}

func (d *diary) untilDone(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		d.note(name)
		return nil
	}
}

func TestGroupStopsStageByStage(t *testing.T) {
	var d diary
	var g Group
	g.Add(Work, "watch", d.untilDone("watch"))
	g.Add(Listen, "check", d.untilDone("check"))
	g.Add(Announce, "health", d.untilDone("health"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if want := []string{"health", "check", "watch"}; !slices.Equal(d.notes, want) {
		t.Errorf("stopped in the order %v, want %v", d.notes, want)
	}
}

func TestGroupEndsWithItsFirstPart(t *testing.T) {
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"with an error":    {boom, "check: boom"},
		"without a reason": {nil, "check ended by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			var g Group
			g.Add(Listen, "check", func(context.Context) error { return test.err })
			g.Add(Listen, "admin", d.untilDone("admin"))
			g.Add(Work, "watch", d.untilDone("watch"))
			err := g.Run(context.Background())
			if err == nil || err.Error() != test.want || test.err != nil && !errors.Is(err, test.err) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if want := []string{"admin", "watch"}; !slices.Equal(d.notes, want) {
				t.Errorf("stopped %v, want %v", d.notes, want)
			}
		})
	}
}

func TestGroupReportsEveryError(t *testing.T) {
	var g Group
	g.Add(Listen, "check", func(context.Context) error { return errors.New("first") })
	g.Add(Work, "watch", func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("second")
	})
	err := g.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "first") || !strings.Contains(err.Error(), "second") {
		t.Errorf("got %v, want both errors", err)
	}
}

func TestEmptyGroup(t *testing.T) {
	var g Group
	if err := g.Run(context.Background()); err != nil {
		t.Error(err)
	}
}
