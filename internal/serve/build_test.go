package serve

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// What a binary says of itself, by how it was made.
func TestBuild(t *testing.T) {
	const revision = "0123456789abcdef0123456789abcdef01234567"
	module := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	inCheckout := debug.BuildSetting{Key: "vcs.revision", Value: revision}
	for _, c := range []struct {
		name            string
		version, commit string // by the linker
		info            *debug.BuildInfo
		want            Build
	}{
		{"go install of a version", UnknownVersion, "", module("v1.2.3"), Build{Version: "v1.2.3"}},
		{"go build in a checkout", UnknownVersion, "", module("v1.2.4-0.20261129203140-0123456789ab", inCheckout), Build{Version: "v1.2.4-0.20261129203140-0123456789ab", Commit: revision}},
		{"make build", "v1.2.3-4-g0123456", "", module("v1.2.4-0.20261129203140-0123456789ab", inCheckout), Build{Version: "v1.2.3-4-g0123456", Commit: revision}},
		{"an image", "v1.2.3", revision, module("(devel)"), Build{Version: "v1.2.3", Commit: revision}},
		{"an image, of which nothing was said", UnknownVersion, "", module("(devel)"), Build{Version: UnknownVersion}},
		{"go run", UnknownVersion, "", module("(devel)", inCheckout), Build{Version: UnknownVersion, Commit: revision}},
		{"without modules", UnknownVersion, "", nil, Build{Version: UnknownVersion}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Go = runtime.Version()
			if got := buildOf(c.version, c.commit, c.info); got != c.want {
				t.Errorf("it says %+v, want %+v", got, c.want)
			}
		})
	}
}
