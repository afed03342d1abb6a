package deploy_test

import (
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"testing"
)

// seccompProfile is a list of system calls, as runc takes it. Of what an engine's file has more, RuntimeDefault depends.
type seccompProfile struct {
	Default       string        `json:"defaultAction"`
	Errno         uint          `json:"defaultErrnoRet"`
	Architectures []string      `json:"architectures"`
	Calls         []seccompRule `json:"syscalls"`
}

type seccompRule struct {
	Names  []string          `json:"names"`
	Action string            `json:"action"`
	Errno  *uint             `json:"errnoRet,omitempty"`
	Args   []json.RawMessage `json:"args,omitempty"`
}

// runtimeDefault returns the profile that engines give to a container without capabilities, from the file that comes with buildah.
func runtimeDefault(t *testing.T) *seccompProfile {
	t.Helper()
	const file = "/usr/share/containers/seccomp.json"
	var all struct {
		seccompProfile
		Calls []struct {
			seccompRule
			Includes, Excludes struct{ Caps, Arches []string }
		} `json:"syscalls"`
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatalf("%v: it comes with buildah (Debian: golang-github-containers-common)", err)
	}
	p := all.seccompProfile
	p.Architectures = []string{map[string]string{"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"}[runtime.GOARCH]}
	for _, c := range all.Calls {
		arches := c.Includes.Arches
		if len(c.Includes.Caps) == 0 && (len(arches) == 0 || slices.Contains(arches, runtime.GOARCH)) {
			p.Calls = append(p.Calls, c.seccompRule)
		}
	}
	return &p
}
