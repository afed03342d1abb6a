package replica

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// A replica that no hub lets in tries again and again: the log has each reason once, and no session is counted that never began.
func TestWhyNoHubFeedsIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	f := &Follower{log: slog.New(slog.NewTextHandler(&log, nil)), told: map[string]bool{}}
	f.changed.Store(new(make(chan struct{})))
	f.metrics = newFollowerMetrics(f)
	lines := func() int { return strings.Count(log.String(), "no hub feeds this replica") }
	counted := func() float64 {
		var m dto.Metric
		if err := f.metrics.sessions.WithLabelValues(lost).Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetCounter().GetValue()
	}
	fail := func(port int) error {
		return fmt.Errorf("hub:9443: read tcp 10.0.0.7:%d->10.0.0.1:9443: remote error: tls: bad certificate", port)
	}
	for i := range 20 {
		f.ended(false, fail(40000+i))
		f.ended(false, errors.New("hub:9443: connection reset by peer"))
	}
	if lines() != 2 || counted() != 0 {
		t.Errorf("%d lines, %g sessions lost:\n%s", lines(), counted(), log.String())
	}
	if p := f.Status().Problem; p == "" || strings.Contains(p, ":40") {
		t.Errorf("the problem is %q", p)
	}
	// One that began is counted, and what follows is told anew.
	f.hub = "hub:9443"
	f.ended(true, fail(50000))
	f.ended(false, fail(50001))
	if lines() != 3 || counted() != 1 {
		t.Errorf("%d lines, %g sessions lost:\n%s", lines(), counted(), log.String())
	}
	// However many reasons there are, there is a limit to what is remembered.
	for i := range 10 * mostReasons {
		f.ended(false, fmt.Errorf("reason %d", i))
	}
	if len(f.told) > mostReasons {
		t.Errorf("%d reasons are remembered", len(f.told))
	}
}
