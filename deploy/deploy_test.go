package deploy_test

import (
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// overlays are whole by themselves; the rest of the folder is part of one of them.
var overlays = []string{"example/hub", "example/api"}

// problems returns what is wrong with an overlay: by our rules, or else, which takes longer, by the schemas.
func (f files) problems(t *testing.T, overlay string) []string {
	t.Helper()
	all, err := f.render(overlay, map[string]bool{})
	if err != nil {
		return []string{err.Error()}
	}
	objects, err := decode(all)
	if err != nil {
		return []string{err.Error()}
	}
	found := mistakes(objects)
	if len(found) > 0 {
		return found
	}
	if err := validate(t, all); err != nil {
		return []string{err.Error()}
	}
	return nil
}

func TestManifests(t *testing.T) {
	all := readFiles(t)
	used := map[string]bool{}
	for _, overlay := range overlays {
		objects, err := all.render(overlay, used)
		if err != nil || len(objects) < 3 {
			t.Fatalf("%s: %d objects: %v", overlay, len(objects), err)
		}
		for _, problem := range all.problems(t, overlay) {
			t.Errorf("%s: %s", overlay, problem)
		}
	}
	for name := range all {
		if !used[name] {
			t.Errorf("%s is part of no overlay: nothing looks at it", name)
		}
	}
}

// Mistakes that are easily made, each in one place of one file.
func TestMistakesAreFound(t *testing.T) {
	for _, c := range []struct{ name, overlay, file, old, new, says string }{
		{"unknown field", "example/hub", "hub/statefulset.yaml", "enableServiceLinks:", "enableServicelinks:", "'enableServicelinks' was unexpected"},
		{"wrong type", "example/hub", "hub/statefulset.yaml", "periodSeconds: 10", "periodSeconds: 10s", "'10s' is not of type"},
		{"unknown kind", "example/hub", "hub/disruption.yaml", "policy/v1", "policy/v1beta1", "Couldn't find schema"},
		{"field twice", "example/hub", "hub/account.yaml", "  name: latchkey-hub", "  name: latchkey-hub\n  name: other", "already defined"},
		{"probe of another port", "example/api", "sidecar/patch.yaml", "port: 9902\n              service: readiness", "port: 9903\n              service: readiness", "its readiness probe asks port 9903"},
		{"probe of another service", "example/hub", "hub/statefulset.yaml", "service: readiness", "service: ready", `for "ready"`},
		{"root can be written", "example/hub", "hub/statefulset.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "may write to its root"},
		{"capabilities", "example/api", "sidecar/patch.yaml", "drop: [ALL]", "drop: [NET_RAW]", "has capabilities"},
		{"root", "example/api", "sidecar/patch.yaml", "runAsUser: 65532", "runAsUser: 0", "runs as another user"},
		{"seccomp", "example/hub", "hub/statefulset.yaml", "type: RuntimeDefault", "type: Unconfined", "has no seccomp profile"},
		{"no native sidecar", "example/api", "sidecar/patch.yaml", "restartPolicy: Always", "", "isn't a native sidecar"},
		{"service of nobody", "example/hub", "hub/services.yaml", "selector:\n    app.kubernetes.io/name: latchkey", "selector:\n    app.kubernetes.io/name: latchkeys", "Service latchkey-hub selects no pod"},
		{"service of a port that isn't", "example/hub", "hub/services.yaml", "port: 9443", "port: 9444", "no container has the port hub as 9444"},
		{"no headless service", "example/hub", "hub/statefulset.yaml", "serviceName: latchkey-hub-pods", "serviceName: latchkey-hub", "no headless Service"},
		{"two writers", "example/hub", "hub/statefulset.yaml", "replicas: 1", "replicas: 2", "more than the one pod"},
		{"network for all pods of a namespace", "example/hub", "hub/network.yaml", "podSelector:\n            matchLabels:\n              latchkey-follower: \"true\"", "podSelector: {}", "isn't named by both"},
		{"network to the profiles", "example/hub", "hub/network.yaml", "port: hub", "port: http", "opens the port http"},
		{"unknown setting", "example/hub", "hub/serve.yaml", "hub_listen:", "hub-listen:", "hub-listen"},
		{"a policy that doesn't load", "example/hub", "example/hub/notes.yaml", "scopes: [notes:read,", "scopes: [notes:reads,", "notes:read"},
		{"nobody may follow", "example/hub", "hub/serve.yaml", "followers: [latchkey-follower]", "followers: []", "nobody may follow"},
		{"listens elsewhere", "example/hub", "hub/serve.yaml", `":9443"`, `":9444"`, `listens on ":9444"`},
		{"a file that isn't mounted", "example/api", "sidecar/sidecar.yaml", "ca.crt", "roots.crt", "there is no file /etc/latchkey/tls/roots.crt"},
		{"data on the root", "example/api", "sidecar/sidecar.yaml", "data: /var/lib/latchkey/latchkey-data", "data: /var/lib/data", `can't write "/var/lib/data"`},
		{"a configuration without its file", "example/hub", "hub/kustomization.yaml", "files: [serve.yaml]", "files: [server.yaml]", "server.yaml, which isn't there"},
		{"unknown field of kustomize", "example/hub", "hub/kustomization.yaml", "resources:", "resource:", "field resource not found"},
		{"health on the loopback alone", "example/api", "sidecar/sidecar.yaml", `http: ":9902"`, `http: "127.0.0.1:9902"`, `listens on "127.0.0.1:9902"`},
		{"a socket that Envoy doesn't ask at", "example/api", "sidecar/sidecar.yaml", "/run/latchkey/authz.sock", "/run/latchkey/check.sock", "asks at /run/latchkey/authz.sock, where no latchkey listens"},
		{"a socket where nobody listens", "example/api", "envoy/envoy.yaml", "path: /run/latchkey/authz.sock", "path: /run/latchkey/check.sock", "asks at /run/latchkey/check.sock, where no latchkey listens"},
		{"a socket of another volume", "example/api", "envoy/patch.yaml", "name: latchkey-socket", "name: latchkey-data", "asks at /run/latchkey/authz.sock, where no latchkey listens"},
		{"Envoy before latchkey", "example/api", "envoy/patch.yaml", "- name: latchkey\n        - name: envoy", "- name: envoy", "where no latchkey listens that is up before it"},
		{"Envoy on the loopback alone", "example/api", "envoy/envoy.yaml", "0.0.0.0, port_value: 10000", "127.0.0.1, port_value: 10000", "listens for others on [10001], and its ports are [10000 10001]"},
		{"Envoy's health on the loopback alone", "example/api", "envoy/patch.yaml", "0.0.0.0, port_value: 10001", "127.0.0.1, port_value: 10001", "probe asks port 10001, and open to the kubelet are [10000]"},
		{"Envoy's probe of another port", "example/api", "envoy/patch.yaml", "port: 10001\n            periodSeconds: 5", "port: 9901\n            periodSeconds: 5", "its readiness probe asks port 9901"},
		{"Envoy's probe of another path", "example/api", "envoy/patch.yaml", "path: /ready", "path: /healthz", "asks for /healthz, which nothing answers"},
		{"Envoy's admin interface for everybody", "example/api", "envoy/patch.yaml", "address: 127.0.0.1, port_value: 9901", "address: 0.0.0.0, port_value: 9901", "others than the pod reach Envoy's admin interface"},
		{"Envoy as latchkey's user", "example/api", "envoy/patch.yaml", "runAsUser: 65533", "runAsUser: 65532", "runs as the user of latchkey"},
		{"Envoy's root can be written", "example/api", "envoy/patch.yaml", "readOnlyRootFilesystem: true", "", "envoy may write to its root"},
		{"Envoy is no native sidecar", "example/api", "envoy/patch.yaml", "          restartPolicy: Always\n", "", "envoy isn't a native sidecar"},
		{"requests go out of the pod", "example/api", "envoy/envoy.yaml", "127.0.0.1, port_value: 8080", "10.0.0.1, port_value: 8080", "the cluster api is outside of the pod"},
		{"Envoy is told to drain at another port", "example/api", "envoy/patch.yaml", "/dev/tcp/127.0.0.1/9901", "/dev/tcp/127.0.0.1/9902", "nothing at its admin port 9901 makes it drain"},
		{"the application ends before Envoy has drained", "example/api", "example/api/deployment.yaml", "seconds: 10", "seconds: 5", "notes ends 5 s after the pod is told to go, and Envoy drains for 10 s"},
		{"no time to end in", "example/api", "envoy/patch.yaml", "terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: 10", "notes has no time left after its 10 s"},
		{"a configuration of Envoy that isn't mounted", "example/api", "envoy/patch.yaml", "- /etc/envoy/envoy.yaml", "- /etc/envoy.yaml", "in none of its ConfigMaps"},
		{"a service of a port that Envoy hasn't", "example/api", "example/api/service.yaml", "targetPort: proxy", "targetPort: http", "no container has the port http as 10000"},
		{"a patch for nobody", "example/api", "example/api/deployment.yaml", "latchkey-sidecar:", "sidecar:", "is for no object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			copied := readFiles(t)
			if !strings.Contains(copied[c.file], c.old) {
				t.Fatalf("%s has no %q", c.file, c.old)
			}
			copied[c.file] = strings.Replace(copied[c.file], c.old, c.new, 1)
			if found := strings.Join(copied.problems(t, c.overlay), "\n"); !strings.Contains(found, c.says) {
				t.Errorf("with %q for %q in %s found is %q, want %q", c.new, c.old, c.file, found, c.says)
			}
		})
	}
}

// What is looked at here is what kustomize makes.
func TestRenderedAsByKustomize(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("there is no kubectl to compare with")
	}
	for _, overlay := range overlays {
		ours, err := readFiles(t).render(overlay, map[string]bool{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(kubectl, "kustomize", overlay).Output()
		if err != nil {
			t.Fatalf("kubectl kustomize %s: %v", overlay, err)
		}
		theirs, err := files{"": hashed.ReplaceAllString(string(out), "$1\n")}.objects("")
		if err != nil || len(theirs) != len(ours) {
			t.Fatalf("%s: kustomize makes %d objects, here are %d: %v", overlay, len(theirs), len(ours), err)
		}
		for _, o := range ours {
			found := false
			for _, other := range theirs {
				found = found || reflect.DeepEqual(again(t, o), other)
			}
			if !found {
				t.Errorf("%s: kustomize doesn't make this %s of %v", overlay, o["kind"], o["metadata"])
			}
		}
	}
}

// hashed is a name with the hash that kustomize adds.
var hashed = regexp.MustCompile(`(name: [a-z-]+)-[a-z0-9]{10}\n`)

// again writes an object and reads it back, as kustomize does.
func again(t *testing.T, o tree) (back tree) {
	t.Helper()
	b, err := yaml.Marshal(o)
	if err == nil {
		err = yaml.Unmarshal(b, &back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}
