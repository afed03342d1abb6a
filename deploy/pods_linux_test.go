package deploy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/link/linktest"
	"github.com/latchkey/latchkey/internal/netns"
)

// podsOf runs the pods of the examples from their manifests, as they are: a hub, and an application with both halves beside it.
func podsOf(t *testing.T, b *builder, runc string, names map[string]string) {
	network, err := netns.New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	join := func(last byte) *netns.Host {
		h, err := network.Join(netip.AddrFrom4([4]byte{10, 77, 0, last}))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	k := newKubelet(t, b, runc, names, join(1))
	hubHost, apiHost := join(2), join(3)
	k.resolve(t, "latchkey-hub.latchkey.svc", hubHost)
	ca := linktest.NewCA(t, "mesh")
	hub := k.start(t, rulesOf(t, "example/hub"), rulesOf(t, "example/hub").find("StatefulSet", "latchkey-hub"), hubHost,
		map[string]string{"latchkey-hub-tls": secretOf(t, ca, "latchkey-hub.latchkey.svc")})
	api := rulesOf(t, "example/api")
	pod := k.start(t, api, api.find("Deployment", "notes"), apiHost, map[string]string{"latchkey-follower-tls": secretOf(t, ca, "latchkey-follower")})

	t.Run("confined", func(t *testing.T) {
		confined(t, hub.containers["latchkey"], user)
		confined(t, pod.containers["latchkey"], user)
		confined(t, pod.containers["envoy"], user+1)
		const told = `"memory","limit":"%s","from":"container"`
		for limit, r := range map[string]*running{"921 MiB": hub.containers["latchkey"], "230 MiB": pod.containers["latchkey"]} {
			if want := fmt.Sprintf(told, limit); !strings.Contains(r.proc.LogTail(), want) {
				t.Errorf("%s doesn't go by the limit of its container: want %s in\n%s", r.name, want, r.proc.LogTail())
			}
		}
	})
	t.Run("requests", func(t *testing.T) { requests(t, hub, pod) })
	t.Run("end", func(t *testing.T) { ends(t, hub, pod) })
}

func newKubelet(t *testing.T, b *builder, runc string, names map[string]string, node *netns.Host) *kubelet {
	t.Helper()
	dir, err := envoytest.SocketDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	k := &kubelet{dir: dir, runc: runc, node: node, roots: map[string]string{}, entry: map[string][]string{}, hosts: filepath.Join(dir, "hosts")}
	for image, name := range names {
		k.roots[image], k.entry[image] = b.root(t, name), b.inspect(t, name).OCI.Config.Entrypoint
	}
	envoy, err := envoytest.Find()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(root, "usr/local/bin/envoy")
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(envoy)
	if err == nil {
		err = os.WriteFile(at, program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	k.roots["envoyproxy/envoy"] = root
	return k
}

// resolve gives a name to a host.
func (k *kubelet) resolve(t *testing.T, name string, h *netns.Host) {
	t.Helper()
	if err := os.WriteFile(k.hosts, []byte(fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", h.Addr(), name)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rulesOf returns the objects of an overlay.
func rulesOf(t *testing.T, overlay string) *rules {
	t.Helper()
	all, err := readFiles(t).render(overlay, map[string]bool{})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(all)
	if err != nil {
		t.Fatal(err)
	}
	return &rules{all: objects}
}

// secretOf makes a certificate for a DNS name, and returns its folder.
func secretOf(t *testing.T, ca *linktest.CA, name string) string {
	t.Helper()
	dir := t.TempDir()
	linktest.Write(t, dir, ca.Issue(t, linktest.Leaf{DNSNames: []string{name}}), ca)
	return dir
}

// confined: a process is its user, may gain nothing, and calls what the profile lets it.
func confined(t *testing.T, r *running, uid int) {
	t.Helper()
	status := readFile(t, fmt.Sprintf("/proc/%d/status", r.pid(t)))
	for _, want := range []string{
		fmt.Sprintf(`Uid:\t%d\t%[1]d\t%[1]d\t%[1]d\n`, uid), `CapPrm:\t0+\n`, `CapEff:\t0+\n`, `CapBnd:\t0+\n`, `NoNewPrivs:\t1\n`, `Seccomp:\t2\n`, fmt.Sprintf(`Groups:\t(\d+ )*%d `, user),
	} {
		if !regexp.MustCompile(want).MatchString(status) {
			t.Errorf("%s isn't confined: want %s in\n%s", r.name, want, status)
		}
	}
	mounts := readFile(t, fmt.Sprintf("/proc/%d/mountinfo", r.pid(t)))
	if !regexp.MustCompile(`(?m)^\d+ \d+ \S+ \S+ / ro,`).MatchString(mounts) {
		t.Errorf("%s may write to its root:\n%s", r.name, mounts)
	}
}

// latchkey runs a command in the hub, where its admin socket is, and returns what it prints.
func latchkey(t *testing.T, hub *runningPod, stdin string, args ...string) string {
	t.Helper()
	out, said, err := hub.containers["latchkey"].exec(stdin, append([]string{"/usr/local/bin/latchkey"}, args...)...)
	if err != nil {
		t.Fatalf("latchkey %s: %v\n%s%s", strings.Join(args, " "), err, out, said)
	}
	return out
}

// requests go through Envoy, which asks the sidecar, which follows the hub.
func requests(t *testing.T, hub, pod *runningPod) {
	if status := latchkey(t, hub, "", "status"); !regexp.MustCompile(`(?m)^ready +yes$`).MatchString(status) {
		t.Fatalf("the hub isn't ready:\n%s", status)
	}
	if _, said, err := hub.containers["latchkey"].exec("", "/usr/local/bin/latchkey", "db", "backup", "/etc/copy"); err == nil || !strings.Contains(said, "read-only file system") {
		t.Errorf("it writes to its root: %v, %s", err, said)
	}
	latchkey(t, hub, `tenants: [{id: "team:t_1"}]`, "directory", "apply", "-f", "-")
	var key struct{ ID, Token string }
	made := latchkey(t, hub, "", "keys", "create", "--policy", "notes", "--type", "secret", "--tenant", "team:t_1", "--environment", "live", "--scope", "notes:read", "-o", "json")
	if err := json.Unmarshal([]byte(made), &key); err != nil {
		t.Fatal(err)
	}
	latchkey(t, hub, "", "replicas", "await", "--wait", "20s")

	app := newApp(t, pod)
	for _, c := range []struct {
		method, path, token string
		want                int
	}{
		{"GET", "/v1/notes", "", http.StatusUnauthorized},
		{"GET", "/v1/notes", key.Token[:len(key.Token)-1], http.StatusUnauthorized},
		{"GET", "/v1/notes", key.Token, http.StatusOK},
		{"GET", "/v1/notes/1", key.Token, http.StatusOK},
		{"DELETE", "/v1/notes/1", key.Token, http.StatusForbidden},
		{"GET", "/v1/others", key.Token, http.StatusForbidden},
	} {
		if got := pod.ask(t, c.method, c.path, c.token); got.StatusCode != c.want {
			t.Errorf("%s %s is answered %d, want %d", c.method, c.path, got.StatusCode, c.want)
		}
	}
	if seen := app.take(); len(seen) != 2 || seen[0].Header.Get("X-Latchkey-Tenant") != "team:t_1" || seen[0].Header.Get("Authorization") != "" {
		t.Errorf("the application saw %v", seen)
	}
	if revoked := latchkey(t, hub, "", "keys", "revoke", key.ID, "--wait", "-o", "json"); !strings.Contains(revoked, `"applied": 1`) {
		t.Errorf("the receipt is %s", revoked)
	}
	if got := pod.ask(t, "GET", "/v1/notes", key.Token); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a revoked key is answered %d", got.StatusCode)
	}
	if _, err := pod.dial(t.Context(), 8080); err == nil {
		t.Error("the application is reached past Envoy")
	}
	if _, err := pod.dial(t.Context(), 9901); err == nil {
		t.Error("Envoy's admin interface is reached from outside of the pod")
	}
}

// ask sends a request to the pod, and returns its answer without the body.
func (p *runningPod) ask(t *testing.T, method, path, token string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://api.notes.example"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := p.client(10000)
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}
