package deploy_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// Flags of Envoy.
const (
	configPath = "--config-path"
	configYAML = "--config-yaml" // what is added to the file
)

// bootstrap is what the rules look at of Envoy's configuration. What else it has is the matter of `envoy --mode validate`.
type bootstrap struct {
	Admin  struct{ Address address }
	Static struct {
		Listeners []struct {
			Name    string
			Address address
		}
		Clusters []struct {
			Name string
			Load struct {
				Endpoints []struct {
					Each []struct{ Endpoint struct{ Address address } } `yaml:"lb_endpoints"`
				}
			} `yaml:"load_assignment"`
		}
	} `yaml:"static_resources"`
}

type address struct {
	Socket struct {
		Address string
		Port    int `yaml:"port_value"`
	} `yaml:"socket_address"`
	Pipe struct{ Path string }
}

// inside reports whether the pod alone can reach it.
func (a address) inside() bool {
	ip, err := netip.ParseAddr(a.Socket.Address)
	return a.Pipe.Path != "" || err == nil && ip.IsLoopback()
}

// envoy holds Envoy's half against latchkey's, and against what the kubelet asks and does. where is the socket of latchkey that
// is up before.
func (r *rules) envoy(place string, pod *pod, c *container, mounts []mount, where string) {
	text := r.configuration(place, c.flag(configPath), mounts)
	if text == nil {
		return
	}
	var b, added bootstrap
	for into, text := range map[*bootstrap][]byte{&b: text, &added: []byte(c.flag(configYAML))} {
		if err := yaml.Unmarshal(text, into); err != nil {
			r.wrong("%s: %v", place, err)
			return
		}
	}
	b.Admin = added.Admin
	b.Static.Listeners = append(b.Static.Listeners, added.Static.Listeners...)

	if c.RestartPolicy != "Always" {
		r.wrong("%s isn't a native sidecar", place)
	}
	if u := c.SecurityContext.User; u == nil || *u == user {
		r.wrong("%s runs as the user of latchkey", place)
	}
	if !b.Admin.Address.inside() {
		r.wrong("%s: others than the pod reach Envoy's admin interface", place)
	}
	var open []int
	for _, l := range b.Static.Listeners {
		if !l.Address.inside() {
			open = append(open, l.Address.Socket.Port)
		}
	}
	var ports []int
	for _, p := range c.Ports {
		ports = append(ports, p.Number)
	}
	if slices.Sort(open); !slices.Equal(open, slices.Sorted(slices.Values(ports))) {
		r.wrong("%s listens for others on %v, and its ports are %v", place, open, ports)
	}
	for _, cluster := range b.Static.Clusters {
		for _, e := range cluster.Load.Endpoints {
			for _, each := range e.Each {
				if at := each.Endpoint.Address; !at.inside() {
					r.wrong("%s: the cluster %s is outside of the pod", place, cluster.Name)
				} else if at.Pipe.Path != "" && (where == "" || inVolume(mounts, at.Pipe.Path) != where) {
					r.wrong("%s asks at %s, where no latchkey listens that is up before it", place, at.Pipe.Path)
				}
			}
		}
	}
	r.envoyProbes(place, c, open)
	r.drain(place, pod, c, b.Admin.Address.Socket.Port)
}

// envoyProbes: each asks a port that is open to the kubelet, and HTTP ones for a path that is answered there.
func (r *rules) envoyProbes(place string, c *container, open []int) {
	for name, p := range map[string]*probe{"startup": c.Startup, "liveness": c.Liveness, "readiness": c.Readiness} {
		port := 0
		switch {
		case p == nil:
		case p.HTTP != nil:
			port = p.HTTP.Port
			if !strings.Contains(c.flag(configYAML), fmt.Sprintf("exact: %s }", p.HTTP.Path)) {
				r.wrong("%s: its %s probe asks for %s, which nothing answers", place, name, p.HTTP.Path)
			}
		case p.TCP != nil:
			port = p.TCP.Port
		}
		if !slices.Contains(open, port) {
			r.wrong("%s: its %s probe asks port %d, and open to the kubelet are %v", place, name, port, open)
		}
	}
}

// drain: Envoy begins to drain when the pod is told to go, and the application stays until that is over.
func (r *rules) drain(place string, pod *pod, c *container, admin int) {
	seconds, err := strconv.Atoi(c.flag("--drain-time-s"))
	if err != nil {
		r.wrong("%s: how long it drains isn't said", place)
	}
	if hook := strings.Join(c.Lifecycle.PreStop.Exec.Command, " "); !strings.Contains(hook, fmt.Sprintf("/dev/tcp/127.0.0.1/%d\n", admin)) {
		r.wrong("%s: nothing at its admin port %d makes it drain", place, admin)
	}
	for _, app := range pod.Containers {
		stays := app.Lifecycle.PreStop.Sleep.Seconds
		if stays < seconds {
			r.wrong("%s ends %d s after the pod is told to go, and Envoy drains for %d s", app.Name, stays, seconds)
		}
		if pod.Grace <= stays {
			r.wrong("%s has no time left after its %d s: the pod's grace is %d s", app.Name, stays, pod.Grace)
		}
	}
}

// realEnvoy returns the Envoy that tests run. Without one they are skipped, unless LATCHKEY_ENVOY asks for it.
func realEnvoy(t *testing.T) string {
	t.Helper()
	binary, err := envoytest.Find()
	switch {
	case err != nil && os.Getenv("LATCHKEY_ENVOY") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return binary
}

// A real Envoy takes the configuration, with what the pod adds to it.
func TestEnvoyTakesItsConfiguration(t *testing.T) {
	binary := realEnvoy(t)
	c, config := envoyOf(t)
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "--mode", "validate", configPath, file, configYAML, c.flag(configYAML)).CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// envoyOf returns the container of Envoy in the example, and the text of its file.
func envoyOf(t *testing.T) (container, string) {
	t.Helper()
	all, err := readFiles(t).render("example/api", map[string]bool{})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(all)
	if err != nil {
		t.Fatal(err)
	}
	r := &rules{all: objects}
	pod := r.find("Deployment", "notes").Spec.Template.Spec
	i := slices.IndexFunc(pod.InitContainers, func(c container) bool { return c.Name == "envoy" })
	if i < 0 {
		t.Fatal("the example has no Envoy")
	}
	return pod.InitContainers[i], r.find("ConfigMap", "latchkey-envoy").Data["envoy.yaml"]
}
