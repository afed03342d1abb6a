package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/netns"
)

// running is a container that runc runs, in the network of a host.
type running struct {
	name   string
	runc   string
	states string // where runc keeps what it knows
	host   *netns.Host
	proc   *envoytest.Process
}

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

// start runs the container.
func (b *bundle) start(t *testing.T, runc, dir, name string, host *netns.Host) *running {
	t.Helper()
	r := &running{name: fmt.Sprintf("latchkey-test-%d-%s", os.Getpid(), name), runc: runc, states: filepath.Join(dir, "runc"), host: host}
	folder := filepath.Join(dir, name)
	text, err := json.Marshal(b)
	if err == nil {
		err = os.MkdirAll(folder, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "config.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.proc, err = envoytest.StartProcessBy(host.Start, exec.Command(runc, "--root", r.states, "run", "--bundle", folder, r.name), folder+".log", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said last:\n%s", name, r.proc.LogTail())
		}
		// Also where it never ran, or is gone.
		_ = exec.Command(runc, "--root", r.states, "delete", "--force", r.name).Run()
		r.proc.End(patience)
	})
	return r
}

// exec runs a program in the container and returns what it prints.
func (r *running) exec(stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(r.runc, append([]string{"--root", r.states, "exec", r.name}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	if err := r.host.Start(cmd); err != nil {
		return "", "", err
	}
	err = cmd.Wait()
	return out.String(), said.String(), err
}

// pid returns the process that the container is.
func (r *running) pid(t *testing.T) int {
	t.Helper()
	var state struct{ Pid int }
	out, err := exec.Command(r.runc, "--root", r.states, "state", r.name).Output()
	if err == nil {
		err = json.Unmarshal(out, &state)
	}
	if err != nil || state.Pid == 0 {
		t.Fatalf("%s doesn't run: %v", r.name, err)
	}
	return state.Pid
}

// stop ends the container as the kubelet does, and returns how it ended.
func (r *running) stop(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(r.pid(t), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.proc.Done():
	case <-time.After(patience):
		t.Fatalf("%s is still there %s after SIGTERM", r.name, patience)
	}
	var exit *exec.ExitError
	if err := r.proc.Err(); errors.As(err, &exit) || err != nil {
		t.Errorf("%s ended with %v:\n%s", r.name, err, r.proc.LogTail())
	}
}
