package deploy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/netns"
)

// patience bounds every wait for something that happens soon.
const patience = time.Minute

// kubelet runs the pods of manifests, each in a network of its own, by as much of the kubelet's rules as these manifests ask for:
// the order of a start, volumes and their rights, security contexts, limits, probes that come from the node, and hooks.
type kubelet struct {
	dir   string // short: sockets are in it
	runc  string
	node  *netns.Host
	roots map[string]string // folders, by the image without its tag
	// entry is what an image begins with, where a container doesn't say.
	entry map[string][]string
	// hosts is /etc/hosts: the cluster's DNS.
	hosts string
}

// runningPod is a pod whose containers run.
type runningPod struct {
	*kubelet
	name       string
	host       *netns.Host
	containers map[string]*running
	volumes    map[string]string // folders, by the names of volumes
}

// newKubelet returns a kubelet that has the images, and for Envoy's this machine's own Envoy, and whose probes come from a node.
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
	program, err := os.ReadFile(realEnvoy(t))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	at := filepath.Join(root, "usr/local/bin/envoy")
	if err := errors.Join(os.Chmod(root, 0o755), os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, program, 0o755)); err != nil {
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

// start starts a pod of a workload: each sidecar once the one before is up, and what is left to whoever calls. secrets are the
// folders of Secrets that whoever deploys makes.
func (k *kubelet) start(t *testing.T, r *rules, o *object, host *netns.Host, secrets map[string]string) *runningPod {
	t.Helper()
	p := &runningPod{kubelet: k, name: o.Metadata.Name + "-0", host: host, containers: map[string]*running{}, volumes: map[string]string{}}
	pod := &o.Spec.Template.Spec
	p.makeVolumes(t, r, o, secrets)
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		if k.roots[imageOf(&c)] == "" {
			continue // the application, which is somebody else's
		}
		b := newBundle(t, p.name, pod.SecurityContext, &c)
		b.Root.Path = k.roots[imageOf(&c)]
		b.Process.Folder = "/"
		if c.ours() {
			b.Process.Folder = "/var/lib/latchkey"
		}
		b.Process.Args = slices.Concat(c.Command, c.Args)
		if len(c.Command) == 0 {
			b.Process.Args = slices.Concat(k.entry[imageOf(&c)], c.Args)
		}
		b.bind(k.hosts, "/etc/hosts", true)
		for _, m := range c.Mounts {
			b.bind(p.volumes[m.Name], m.Path, m.ReadOnly)
		}
		if !c.ours() {
			for _, folder := range programsOfThisMachine(t, b.Root.Path) {
				b.bind(folder, folder, true)
			}
		}
		p.containers[c.Name] = b.start(t, k.runc, k.dir, p.name+"-"+c.Name, host)
		p.until(t, &c, "startup", c.Startup)
		p.until(t, &c, "liveness", c.Liveness)
		p.until(t, &c, "readiness", c.Readiness)
	}
	return p
}

func imageOf(c *container) string {
	return c.Image[:strings.LastIndex(c.Image, ":")]
}
