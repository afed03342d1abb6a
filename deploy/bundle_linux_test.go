package deploy_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// bundle is a container for runc: as much of the OCI runtime specification as the kubelet's settings need.
type bundle struct {
	OCI      string     `json:"ociVersion"`
	Hostname string     `json:"hostname"`
	Process  ociProcess `json:"process"`
	Root     struct {
		Path     string `json:"path"`
		ReadOnly bool   `json:"readonly"`
	} `json:"root"`
	Mounts []ociMount `json:"mounts"`
	Linux  struct {
		Namespaces []ociNamespace `json:"namespaces"`
		Resources  struct {
			Memory struct {
				Limit int64 `json:"limit,omitempty"`
			} `json:"memory"`
		} `json:"resources"`
		Seccomp *seccompProfile `json:"seccomp,omitempty"`
	} `json:"linux"`
}

type ociProcess struct {
	User struct {
		User   int   `json:"uid"`
		Group  int   `json:"gid"`
		Groups []int `json:"additionalGids"`
	} `json:"user"`
	Args         []string            `json:"args"`
	Env          []string            `json:"env"`
	Folder       string              `json:"cwd"`
	Capabilities map[string][]string `json:"capabilities"`
	NoNewRights  bool                `json:"noNewPrivileges"`
}

type ociMount struct {
	At      string   `json:"destination"`
	Type    string   `json:"type"`
	From    string   `json:"source"`
	Options []string `json:"options,omitempty"`
}

type ociNamespace struct {
	Type string `json:"type"`
}

// newBundle returns a container as its security context has it. No namespace is for the network: it is the one that runc runs in.
func newBundle(t *testing.T, hostname string, pod security, c *container) *bundle {
	t.Helper()
	b := &bundle{OCI: "1.0.2", Hostname: hostname}
	s := c.SecurityContext
	if s.User == nil {
		s.User, s.OwnGroup = pod.User, pod.OwnGroup
	}
	if s.User == nil || s.OwnGroup == nil || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Fatalf("%s isn't hardened as the rules want it", c.Name)
	}
	b.Process.User.User, b.Process.User.Group = *s.User, *s.OwnGroup
	if pod.Group != nil {
		b.Process.User.Groups = []int{*pod.Group}
	}
	b.Process.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	b.Process.Capabilities = map[string][]string{}
	b.Process.NoNewRights = s.Escalation != nil && !*s.Escalation
	b.Root.ReadOnly = s.ReadOnlyRoot != nil && *s.ReadOnlyRoot
	if seccomp := s.Seccomp.Type; seccomp == "RuntimeDefault" || seccomp == "" && pod.Seccomp.Type == "RuntimeDefault" {
		b.Linux.Seccomp = runtimeDefault(t)
	}
	b.Linux.Resources.Memory.Limit = quantity(t, c.Resources.Limits["memory"])
	for _, kind := range []string{"mount", "pid", "ipc", "uts"} {
		b.Linux.Namespaces = append(b.Linux.Namespaces, ociNamespace{kind})
	}
	b.Mounts = []ociMount{
		{"/proc", "proc", "proc", nil},
		{"/dev", "tmpfs", "tmpfs", []string{"nosuid", "mode=755", "size=64k"}},
		{"/sys/fs/cgroup", "cgroup", "cgroup", []string{"ro", "nosuid", "noexec", "nodev"}},
	}
	return b
}

// bind adds a file or a folder of this machine.
func (b *bundle) bind(from, at string, readOnly bool) {
	b.Mounts = append(b.Mounts, ociMount{at, "bind", from, []string{"rbind", "nosuid", "nodev", map[bool]string{true: "ro", false: "rw"}[readOnly]}})
}

// quantity reads a quantity of Kubernetes.
func quantity(t *testing.T, text string) int64 {
	t.Helper()
	number, unit := strings.TrimRight(text, "KMGi"), int64(1)
	for i, suffix := range []string{"Ki", "Mi", "Gi"} {
		if strings.HasSuffix(text, suffix) {
			unit = 1 << (10 * (i + 1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		t.Fatalf("the quantity %q: %v", text, err)
	}
	return n * unit
}
