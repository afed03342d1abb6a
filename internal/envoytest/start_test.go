package envoytest_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey/latchkey/internal/envoytest"
)

func minimal(t *testing.T) envoytest.Config {
	return envoytest.Config{
		AuthzSocket: newSocket(t), Upstream: "127.0.0.1:1",
		Listeners: []envoytest.Listener{{Profile: envoytest.Plain}},
	}
}

func TestFind(t *testing.T) {
	for name, path := range map[string]string{"absent": filepath.Join(t.TempDir(), "envoy"), "a folder": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LATCHKEY_ENVOY", path)
			_, err := envoytest.Find()
			if !errors.Is(err, envoytest.ErrNoEnvoy) || !strings.Contains(err.Error(), "make tools") || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
			if _, err := envoytest.Start(t.Context(), minimal(t)); !errors.Is(err, envoytest.ErrNoEnvoy) {
				t.Errorf("Start: %v", err)
			}
		})
	}
	t.Run("order", func(t *testing.T) {
		root := t.TempDir()
		write := func(parts ...string) string {
			path := filepath.Join(append([]string{root}, parts...)...)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o700)); err != nil {
				t.Fatal(err)
			}
			return path
		}
		t.Setenv("LATCHKEY_ENVOY", "")
		t.Setenv("PATH", filepath.Join(root, "path"))
		t.Chdir(filepath.Dir(write("repo", "nested", "deep", "go.mod")))
		check := func(want string) {
			t.Helper()
			if got, err := envoytest.Find(); got != want || (want == "") != errors.Is(err, envoytest.ErrNoEnvoy) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		}
		check("")
		onPath := write("path", "envoy")
		check(onPath)
		tool := write("repo", ".tools", "bin", "envoy")
		check(onPath) // not yet: the folder is no Go module
		write("repo", "go.mod")
		check(tool)
		set := write("set", "envoy")
		t.Setenv("LATCHKEY_ENVOY", set)
		check(set)
	})
}

// Two instances with the same config run side by side; each ends alone, and leaves
// nothing in its temporary folder.
func TestSideBySide(t *testing.T) {
	var envoys []*envoytest.Envoy
	for range 2 {
		e, err := envoytest.Start(t.Context(), minimal(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Stop)
		envoys = append(envoys, e)
	}
	if envoys[0].Addr("plain") == envoys[1].Addr("plain") || envoys[0].AdminAddr() == envoys[1].AdminAddr() {
		t.Error("two instances share a port")
	}
	envoys[0].Stop()
	envoys[0].Stop()
	if _, err := net.Dial("tcp", envoys[0].Addr("plain")); err == nil {
		t.Error("a stopped Envoy still listens")
	}
	if _, err := os.Stat(envoys[0].Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
	if _, err := envoys[1].Stat(t.Context(), "server.live"); err != nil {
		t.Error(err)
	}
}

// An Envoy that cannot start says why, in the error and to Log.
func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := minimal(t)
	cfg.Admin = taken.Addr().String()
	var log bytes.Buffer
	cfg.Log = &log
	_, err = envoytest.Start(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "Address already in use") || !strings.Contains(log.String(), "Address already in use") {
		t.Errorf("got %v; log %s", err, &log)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := envoytest.Start(ctx, minimal(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestConfigMistakes(t *testing.T) {
	_, err := envoytest.Bootstrap(envoytest.Config{
		AuthzSocket: "/" + strings.Repeat("x", 107), GRPCUpstream: "no-port", PolicyHeaders: []string{"a b"}, CheckTimeout: -1,
		Listeners: []envoytest.Listener{
			{Profile: "strict", Name: "a"}, {Profile: envoytest.Plain, Name: "a"}, {Profile: envoytest.Plain, Name: "%X%", Address: "h:x"},
		},
	})
	for _, want := range []string{"108 bytes", "Upstream is empty", "GRPCUpstream", `"a b"`, "negative", `"strict"`, `"a" is taken`, `"%X%"`, "Address"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// The bootstrap of an example: fixed ports, names instead of addresses, one profile.
func TestBootstrap(t *testing.T) {
	out, err := envoytest.Bootstrap(envoytest.Config{
		AuthzSocket: `/run/latch"key/authz.sock`, Upstream: "app.internal:8080", PolicyHeaders: []string{"x-team-id", "authorization"},
		Listeners: []envoytest.Listener{{
			Profile: envoytest.Hardened, Address: "0.0.0.0:10000",
			Routes: []envoytest.Route{{Domain: "a.example", Prefix: "/v1", Extensions: map[string]string{"policy": "a"}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(out, &doc); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	text := string(out)
	for want, times := range map[string]int{
		"admin:": 0, "latchkey_plain": 0, "x-case": 0, `path: "/run/latch\"key/authz.sock"`: 1, `path: "/dev/stdout"`: 1,
		"type: STRICT_DNS": 1, "port_value: 10000": 1, "timeout: 0.2s": 1, "grpc: {}": 0,
		// The route asked for, and a catch-all for its host and for every other.
		`match: { prefix: "/v1" }`: 1, `match: { prefix: "/" }`: 2, `domains: ["*"]`: 1,
		`exact: "x-team-id"`: 1, `exact: "authorization"`: 1,
		`regex: "^(x-latchkey-.*|x_latchkey_.*|authorization|x-team-id)$"`: 1,
	} {
		if got := strings.Count(text, want); got != times {
			t.Errorf("%q is there %d times, want %d", want, got, times)
		}
	}
	if strings.Contains(text, "\n\n") || strings.Contains(text, " \n") {
		t.Error("blank lines or trailing spaces")
	}
	if t.Failed() {
		t.Log(text)
	}
}
