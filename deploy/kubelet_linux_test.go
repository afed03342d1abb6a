package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/internal/netns"
)

// patience bounds every wait for something that happens soon.
const patience = 30 * time.Second

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

// makeVolumes makes a folder for each volume, with the rights that the kubelet gives it.
func (p *runningPod) makeVolumes(t *testing.T, r *rules, o *object, secrets map[string]string) {
	t.Helper()
	group := *o.Spec.Template.Spec.SecurityContext.Group
	folder := func(name string, mode os.FileMode) string {
		at := filepath.Join(p.dir, p.name+"-v-"+name)
		if err := errors.Join(os.Mkdir(at, 0o700), os.Chown(at, 0, group), os.Chmod(at, mode)); err != nil {
			t.Fatal(err)
		}
		p.volumes[name] = at
		return at
	}
	for _, v := range o.Spec.VolumeClaimTemplates {
		folder(v.Metadata.Name, os.ModeSetgid|0o775)
	}
	for _, v := range o.Spec.Template.Spec.Volumes {
		files := map[string]string{}
		mode := os.FileMode(0o644)
		switch {
		case v.EmptyDir != nil:
			folder(v.Name, os.ModeSetgid|0o777)
			continue
		case v.ConfigMap.Name != "":
			files = r.find("ConfigMap", v.ConfigMap.Name).Data
		default:
			mode = os.FileMode(v.Secret.Mode)
			for _, name := range given[v.Secret.Name] {
				files[name] = readFile(t, filepath.Join(secrets[v.Secret.Name], name))
			}
		}
		at := folder(v.Name, os.ModeSetgid|0o775)
		for name, text := range files {
			file := filepath.Join(at, name)
			if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chown(file, 0, group), os.Chmod(file, mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// until waits until a probe succeeds. It comes from the node, to the pod's address.
func (p *runningPod) until(t *testing.T, c *container, name string, asks *probe) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.probe(t.Context(), asks)
		if err == nil {
			return
		}
		select {
		case <-p.containers[c.Name].proc.Done():
			t.Fatalf("%s of %s ended: %v", c.Name, p.name, p.containers[c.Name].proc.Err())
		case <-deadline:
			t.Fatalf("%s of %s: its %s probe fails: %v", c.Name, p.name, name, err)
		case <-tick.C:
		}
	}
}

// dial connects from the node to a port of the pod.
func (p *runningPod) dial(ctx context.Context, port int) (net.Conn, error) {
	return p.node.Dial(ctx, "tcp", net.JoinHostPort(p.host.Addr().String(), strconv.Itoa(port)))
}

func (p *runningPod) probe(ctx context.Context, asks *probe) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	switch {
	case asks.GRPC != nil:
		c, err := grpc.NewClient("passthrough:///pod", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.dial(ctx, asks.GRPC.Port) }))
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		answer, err := grpc_health_v1.NewHealthClient(c).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: asks.GRPC.Service})
		if err == nil && answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			err = errors.New(answer.GetStatus().String())
		}
		return err
	case asks.HTTP != nil:
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://pod"+asks.HTTP.Path, nil)
		if err != nil {
			return err
		}
		client := p.client(asks.HTTP.Port)
		defer client.CloseIdleConnections()
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			err = errors.New(answer.Status)
		}
		return errors.Join(err, answer.Body.Close())
	case asks.TCP != nil:
		c, err := p.dial(ctx, asks.TCP.Port)
		if err != nil {
			return err
		}
		return c.Close()
	}
	return fmt.Errorf("no such probe is known: %+v", asks)
}

// client asks a port of the pod. Close its connections after use.
func (p *runningPod) client(port int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx, port) },
	}}
}

// programsOfThisMachine makes room in an empty root for the folders of programs and libraries that this machine has, and returns
// them. It stands in for the image of Envoy, which can't be had here: the program is the same.
func programsOfThisMachine(t *testing.T, root string) (folders []string) {
	t.Helper()
	for _, folder := range []string{"/bin", "/lib", "/lib64", "/usr/bin", "/usr/lib", "/usr/lib64"} {
		info, err := os.Lstat(folder)
		switch {
		case err != nil:
		case info.IsDir():
			folders = append(folders, folder)
		default:
			to, err := os.Readlink(folder)
			if err == nil {
				err = os.Symlink(to, filepath.Join(root, folder))
			}
			if err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
	}
	return folders
}
