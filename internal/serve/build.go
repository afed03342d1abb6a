package serve

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// Build tells what a binary is made of.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // empty where it isn't known
	Go      string `json:"go"`
}

// UnknownVersion is what a main calls its version that the linker doesn't set.
const UnknownVersion = "unknown"

// ThisBuild returns the build of the running binary, given the version that the linker has set.
func ThisBuild(version string) Build {
	b := Build{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value
		}
	}
	if b.Version == UnknownVersion && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version // as `go install` knows it
	}
	return b
}

// Info returns the build as a metric.
func (b Build) Info() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "latchkey_build_info", Help: "1, with what the process is made of as labels.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "go": b.Go},
	}, func() float64 { return 1 })
}
