package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// versioned returns a version of a policy. All that it answers names the version: the endpoint, the scope that it takes,
// and the header and body of what it refuses; whether /v1/turn is there at all tells whether the version is even.
func versioned(name string, version int) string {
	turn := ""
	if version%2 == 0 {
		turn = ", GET /v1/turn"
	}
	return fmt.Sprintf(`name: %[1]s
hosts: [%[1]s.example]
tenants: {team: {}}
scopes: [s%[2]d]
key_types:
  secret: {format: "%[3]s_{secret:30}", owner: team, scopes: [all]}
endpoints:
  E%[2]d: {scopes: [s%[2]d], routes: [GET /v1/same%[4]s]}
replies:
  default: {headers: {x-version: "%[2]d"}, body: {version: "%[2]d", reason: "{reason}"}}
`, name, version, strings.ReplaceAll(name, "-", ""), turn)
}

// mistaken is versioned with a mistake, of one of several kinds.
func mistaken(name string, version, kind int) string {
	text := versioned(name, version)
	switch kind % 3 {
	case 0: // half of it was written
		return text[:len(text)/2]
	case 1:
		return strings.Replace(text, "{scopes: [s", "{scopes: [nowhere", 1)
	}
	return text + "\nwhat: is this\n"
}

// reloading is a real `latchkey serve` whose policies are changed in three ways while it answers: in a file, by the
// kubelet's swap of a mounted folder, which has the configuration file and two policies, and by the admin API.
type reloading struct {
	t    *testing.T
	dir  string
	v    *victim
	http *http.Client
	keys map[string]string // tokens by policy

	version  map[string]int            // of each policy, newest
	at       map[uint64]map[string]int // the version of each policy, by revision
	least    map[string]*atomic.Int64  // which no request that begins from now on may be answered by less than
	figures  map[string]int            // what the metrics have to say
	revision uint64
	mounts   int
}

var reloadedPolicies = []string{"file", "mount-a", "mount-b", "applied"}

const (
	policyFailures = `latchkey_policy_reloads_total{result="failure"}`
	configFailures = `latchkey_config_reloads_total{result="failure"}`
	configReloads  = `latchkey_config_reloads_total{result="success"}`
)

func newReloading(t *testing.T) *reloading {
	t.Helper()
	r := &reloading{
		t: t, dir: keptFolder(t, "policies and store"), keys: map[string]string{}, version: map[string]int{},
		at: map[uint64]map[string]int{}, least: map[string]*atomic.Int64{}, figures: map[string]int{},
	}
	for _, name := range reloadedPolicies {
		r.version[name], r.least[name] = 0, &atomic.Int64{}
	}
	if err := os.Mkdir(filepath.Join(r.dir, "mount"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.put("file.yaml", versioned("file", 0))
	r.mount(r.config(), versioned("mount-a", 0), versioned("mount-b", 0))
	for _, name := range []string{"serve.yaml", "mount-a.yaml", "mount-b.yaml"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(r.dir, "mount", name)); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if r.v, err = startVictim(filepath.Join(r.dir, "data"), "--config", filepath.Join(r.dir, "mount", "serve.yaml")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.v.stop(); err != nil {
			t.Errorf("%v\n%s", err, r.v.log.tail(20))
		}
	})
	if _, _, err := r.v.answers(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, r.v.log.tail(20))
	}
	r.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(r.dir, "http.sock"))
	}}}
	t.Cleanup(r.http.CloseIdleConnections)
	if _, err := r.v.policy.ApplyPolicy(t.Context(), connect.NewRequest(&adminv1.ApplyPolicyRequest{File: "applied", Source: versioned("applied", 0)})); err != nil {
		t.Fatal(err)
	}
	if _, err := r.v.dir.ApplyDirectory(t.Context(), connect.NewRequest(&adminv1.ApplyDirectoryRequest{
		Directory: &directoryv1.Directory{Tenants: []*directoryv1.Tenant{{Id: "team:t_1"}}},
	})); err != nil {
		t.Fatal(err)
	}
	for _, name := range reloadedPolicies {
		made, err := r.v.keys.CreateKey(t.Context(), connect.NewRequest(&adminv1.CreateKeyRequest{Key: &adminv1.KeyFields{Policy: name, Type: "secret", Tenant: "team:t_1"}}))
		if err != nil {
			t.Fatal(err)
		}
		r.keys[name] = made.Msg.GetKey().GetToken()
	}
	status, err := r.status()
	if err != nil {
		t.Fatal(err)
	}
	r.revision = status.GetPosition().GetRevision()
	r.now()
	return r
}

func (r *reloading) status() (*adminv1.GetStatusResponse, error) {
	status, err := r.v.about.GetStatus(r.t.Context(), connect.NewRequest(&adminv1.GetStatusRequest{}))
	if err != nil {
		return nil, err
	}
	return status.Msg, nil
}

// config returns the configuration file, which differs each time.
func (r *reloading) config() string {
	level := []string{"debug", "info"}[r.mounts%2]
	return "policy: [mount-a.yaml, mount-b.yaml, ../file.yaml]\nlog_level: " + level + "\n# " + strconv.Itoa(r.mounts) + "\n"
}

// put puts a file in the place of another at once.
func (r *reloading) put(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := errors.Join(os.WriteFile(path+".next", []byte(text), 0o600), os.Rename(path+".next", path)); err != nil {
		r.t.Fatal(err)
	}
}

// mount changes the mounted folder as the kubelet does: a new folder, and a link that leads to it from one moment on.
func (r *reloading) mount(config, a, b string) {
	r.t.Helper()
	r.mounts++
	mount := filepath.Join(r.dir, "mount")
	before, _ := os.Readlink(filepath.Join(mount, "..data")) // none at first
	now := fmt.Sprintf("..%d", r.mounts)
	err := os.Mkdir(filepath.Join(mount, now), 0o700)
	for name, text := range map[string]string{"serve.yaml": config, "mount-a.yaml": a, "mount-b.yaml": b} {
		err = errors.Join(err, os.WriteFile(filepath.Join(mount, now, name), []byte(text), 0o600))
	}
	err = errors.Join(err, os.Symlink(now, filepath.Join(mount, "..data_tmp")), os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")))
	if before != "" {
		err = errors.Join(err, os.RemoveAll(filepath.Join(mount, before)))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// next is a version that a policy has from the revision on that comes next.
func (r *reloading) next(name string) string {
	r.version[name]++
	r.revision++
	r.now()
	return versioned(name, r.version[name])
}

// now notes the versions of the newest revision.
func (r *reloading) now() {
	at := map[string]int{}
	for name, version := range r.version {
		at[name] = version
	}
	r.at[r.revision] = at
}

// change makes one change, good or bad, and waits until it is in use or refused.
func (r *reloading) change(i int) {
	r.t.Helper()
	good, kind := i/3%2 == 0, i/6
	bad := func(name string) string { return mistaken(name, r.version[name]+1000, kind) }
	switch i % 3 {
	case 0:
		if good {
			r.put("file.yaml", r.next("file"))
		} else {
			r.figures[policyFailures]++
			r.put("file.yaml", bad("file"))
		}
	case 1:
		if good {
			r.figures[configReloads]++
			r.mount(r.config(), r.next("mount-a"), r.next("mount-b"))
		} else {
			r.figures[policyFailures] += 2
			r.figures[configFailures]++
			r.mount("log_level: [\n# "+strconv.Itoa(i), bad("mount-a"), bad("mount-b"))
		}
	case 2:
		source := ""
		if good {
			source = r.next("applied")
		} else {
			source = bad("applied")
		}
		_, err := r.v.policy.ApplyPolicy(r.t.Context(), connect.NewRequest(&adminv1.ApplyPolicyRequest{File: "applied", Source: source}))
		if good != (err == nil) {
			r.t.Fatalf("change %d: %v", i, err)
		}
	}
	eventually(r.t, fmt.Sprintf("change %d is in use, or refused", i), func() error { return r.settled(!good && i%3 != 2) })
	for name, version := range r.version {
		r.least[name].Store(int64(version))
	}
}

// settled returns an error while the process isn't yet where it should be: at the revision, with what the metrics say,
// and with problems in its status or without.
func (r *reloading) settled(problems bool) error {
	status, err := r.status()
	if err != nil {
		return err
	}
	if at := status.GetPosition().GetRevision(); at != r.revision {
		return fmt.Errorf("at revision %d, not yet at %d", at, r.revision)
	}
	if !status.GetReady() || problems && len(status.GetProblems()) == 0 {
		return fmt.Errorf("ready %v, problems %v", status.GetReady(), status.GetProblems())
	}
	metrics, err := r.metrics()
	if err != nil {
		return err
	}
	for name, want := range r.figures {
		if line := name + " " + strconv.Itoa(want) + "\n"; !strings.Contains(metrics, line) {
			_, after, _ := strings.Cut(metrics, name)
			return fmt.Errorf("%s is%.5q and not %d", name, after, want)
		}
	}
	return nil
}

func (r *reloading) metrics() (string, error) {
	answer, err := r.http.Get("http://localhost/metrics")
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}
