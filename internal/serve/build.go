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

// commit is set by the linker where the sources are compiled without their repository, as for an image.
var commit string

// ThisBuild returns the build of the running binary, given the version that the linker has set.
func ThisBuild(version string) Build {
	info, _ := debug.ReadBuildInfo()
	return buildOf(version, commit, info)
}

// buildOf puts what the linker has set over what Go knows by itself: the version of the module for `go install`, and both from
// the repository for `go build` in a checkout. info may be nil.
func buildOf(version, commit string, info *debug.BuildInfo) Build {
	b := Build{Version: version, Commit: commit, Go: runtime.Version()}
	if info == nil {
		return b
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && b.Commit == "" {
			b.Commit = s.Value
		}
	}
	if b.Version == UnknownVersion && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
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
