package envoytest

import (
	"context"
	"time"
)

// TB is the part of testing.TB that Run needs; the demo command links this package,
// and should not link the testing package with it.
type TB interface {
	Helper()
	Cleanup(func())
	Failed() bool
	Fatal(args ...any)
	Log(args ...any)
	TempDir() string
}

// Run is Start for a test: it fails the test when Envoy does not start, a missing
// binary included, stops it at the end, and shows the end of its log if the test failed.
func Run(tb TB, cfg Config) *Envoy {
	tb.Helper()
	if cfg.Dir == "" {
		cfg.Dir = tb.TempDir()
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 2 * time.Minute // others may start a dozen at the same time
	}
	e, err := Start(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		e.Stop()
		if tb.Failed() {
			tb.Log("envoy said last:\n" + e.LogTail())
		}
	})
	return e
}

// RunUpstream is StartUpstream for a test, closed at its end.
func RunUpstream(tb TB) *Upstream {
	tb.Helper()
	u, err := StartUpstream()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(u.Close)
	return u
}
