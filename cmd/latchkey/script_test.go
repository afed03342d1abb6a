package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/freeport"
	"github.com/latchkey/latchkey/internal/link/linktest"
)

// patience is how long a script waits for something to become true.
const patience = time.Minute

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"latchkey": main})
}

// The scripts are commands as a user could type them, against real processes.
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	envoy, noEnvoy := envoytest.Find()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			if err := sidecarBeside(); err != nil {
				return err
			}
			e.Setenv("EXAMPLES", examples)
			e.Setenv("LATCHKEY_ENVOY", envoy)
			e.Values["cas"] = map[string]*linktest.CA{}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "envoy" {
				return false, fmt.Errorf("unknown condition %s", cond)
			}
			// One that is asked for and isn't there is no reason to skip.
			if noEnvoy != nil && os.Getenv("LATCHKEY_ENVOY") != "" {
				return false, noEnvoy
			}
			return noEnvoy == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      cmdExits,
			"eventually": cmdEventually,
			"field":      cmdField,
			"json":       cmdJSON,
			"signal":     cmdSignal,
			"mode":       cmdMode,
			"check":      cmdCheck,
			"health":     cmdHealth,
			"nowhere":    cmdNowhere,
			"spoil":      cmdSpoil,
			"certify":    cmdCertify,
			"port":       cmdPort,
			"metric":     cmdMetric,
			"page":       cmdPage,
		},
	})
}

// sidecarBeside puts latchkey-sidecar beside the latchkey that scripts run, once for all.
var sidecarBeside = sync.OnceValue(func() error {
	latchkey, err := exec.LookPath("latchkey")
	if err != nil {
		return err
	}
	// Opened by this process itself, so that a cached result of a test isn't taken for true after one of them has changed.
	sources, err := filepath.Glob("../latchkey-sidecar/*.go")
	if err != nil {
		return err
	}
	for _, name := range sources {
		if _, err := os.ReadFile(name); err != nil {
			return err
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(filepath.Dir(latchkey), "latchkey-sidecar"), "../latchkey-sidecar")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building latchkey-sidecar: %w\n%s", err, out)
	}
	return nil
})

// exits CODE command...: the command ends with this exit code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command...")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// eventually REGEXP command...: the command comes to print this on stdout.
// With a command alone, it comes to succeed.
func cmdEventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP command...")
	}
	want := regexp.MustCompile("(?s)" + args[0])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		if out, err := quietly(ts, args[1:]); err == nil && want.Match(out) {
			// Once more, for what the script asks of the output.
			if err := ts.Exec(args[1], args[2:]...); err == nil && want.MatchString(ts.ReadFile("stdout")) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			err := ts.Exec(args[1], args[2:]...)
			ts.Fatalf("in %s this never printed %q and succeeded: %v (%v)", patience, args[0], args[1:], err)
		}
	}
}

// quietly runs a command without a line in the test's log.
func quietly(ts *testscript.TestScript, args []string) ([]byte, error) {
	path := args[0] // of the machine, unless it is one of ours
	if ours := filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], args[0]); isFile(ours) {
		path = ours
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LATCHKEY_ADMIN", "LATCHKEY_CLIENT"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	return cmd.Output()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// lookup follows a path of members and indexes, such as 0.id, in the JSON of
// the last stdout.
func lookup(ts *testscript.TestScript, path string) any {
	var value any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &value); err != nil {
		ts.Fatalf("stdout is no JSON document: %v", err)
	}
	if path == "." {
		return value
	}
	for _, step := range strings.Split(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// field VARIABLE PATH: a field of the JSON on stdout becomes a variable.
func cmdField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field VARIABLE PATH")
	}
	value, ok := lookup(ts, args[1]).(string)
	if !ok || value == "" {
		ts.Fatalf("stdout has no text at %s", args[1])
	}
	ts.Setenv(args[0], value)
}

// json PATH VALUE: the JSON on stdout has this there. `json PATH #N` is the
// length of a list; `! json PATH` says that there is nothing.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || neg != (len(args) == 1) {
		ts.Fatalf("usage: json PATH VALUE, or ! json PATH")
	}
	value := lookup(ts, args[0])
	if neg {
		if value != nil {
			ts.Fatalf("%s is %v, want nothing there", args[0], value)
		}
		return
	}
	got := fmt.Sprint(value)
	if list, ok := value.([]any); ok && strings.HasPrefix(args[1], "#") {
		got = fmt.Sprintf("#%d", len(list))
	}
	if got != args[1] {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

// signal NAME N: the N-th background process, from 0, gets a signal.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL, "INT": syscall.SIGINT}
	if neg || len(args) != 2 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal TERM|HUP|KILL|INT N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(ts.BackgroundCmds()[n].Process.Signal(signals[args[0]]))
}

// mode MODE FILE: the file has this mode, as ls prints it.
func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode MODE FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if info.Mode().String() != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], info.Mode(), args[0])
	}
}

// check STATUS SOCKET METHOD HOST PATH TOKEN: asked as Envoy asks, over gRPC,
// the process answers with this status.
func cmdCheck(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 6 {
		ts.Fatalf("usage: check STATUS SOCKET METHOD HOST PATH TOKEN")
	}
	conn, err := grpc.NewClient("unix://"+ts.MkAbs(args[1]), grpc.WithTransportCredentials(insecure.NewCredentials()))
	ts.Check(err)
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := authv3.NewAuthorizationClient(conn).Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: args[2], Host: args[3], Path: args[4],
			HeaderMap: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
				{Key: ":path", RawValue: []byte(args[4])},
				{Key: "authorization", RawValue: []byte("Bearer " + args[5])},
			}},
		}},
	}})
	ts.Check(err)
	got := 200
	if answer.GetOkResponse() == nil {
		got = int(answer.GetDeniedResponse().GetStatus().GetCode())
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("answered %d, want %s", got, args[0])
	}
}

// health STATUS SOCKET SERVICE: by gRPC health the service comes to have this
// status: SERVING or NOT_SERVING.
func cmdHealth(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: health STATUS SOCKET SERVICE")
	}
	conn, err := grpc.NewClient("unix://"+ts.MkAbs(args[1]), grpc.WithTransportCredentials(insecure.NewCredentials()))
	ts.Check(err)
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: args[2]}, grpc.WaitForReady(true))
	ts.Check(err)
	for last := ""; last != args[0]; {
		now, err := watch.Recv()
		if err != nil {
			ts.Fatalf("%s is %s and doesn't become %s: %v", args[2], last, args[0], err)
		}
		last = now.GetStatus().String()
	}
}

// nowhere TEXT PATH...: no file at or below the paths holds the text. The last
// outputs are the files stdout and stderr.
func cmdNowhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[0] == "" {
		ts.Fatalf("usage: nowhere TEXT PATH...")
	}
	for _, path := range args[1:] {
		if path == "stdout" || path == "stderr" {
			if strings.Contains(ts.ReadFile(path), args[0]) {
				ts.Fatalf("%s holds the text", path)
			}
			continue
		}
		ts.Check(filepath.WalkDir(ts.MkAbs(path), func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(name)
			if err == nil && bytes.Contains(content, []byte(args[0])) {
				err = fmt.Errorf("%s holds the text", name)
			}
			return err
		}))
	}
}

// spoil FILE TEXT: one bit of the text is flipped, wherever it stands in the file.
func cmdSpoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || args[1] == "" {
		ts.Fatalf("usage: spoil FILE TEXT")
	}
	content, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	if !bytes.Contains(content, []byte(args[1])) {
		ts.Fatalf("%s doesn't hold the text", args[0])
	}
	spoilt := []byte(args[1])
	spoilt[len(spoilt)-1] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.ReplaceAll(content, []byte(args[1]), spoilt), 0o600))
}

// certify CA FOLDER NAME...: a CA of the script, made when it is first named,
// issues a certificate for SPIFFE ids, IP addresses and DNS names. The folder
// gets tls.crt, tls.key and ca.crt.
func cmdCertify(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: certify CA FOLDER NAME...")
	}
	cas := ts.Value("cas").(map[string]*linktest.CA)
	if cas[args[0]] == nil {
		cas[args[0]] = linktest.NewCA(ts, args[0])
	}
	var leaf linktest.Leaf
	for _, name := range args[2:] {
		switch ip := net.ParseIP(name); {
		case ip != nil:
			leaf.IPs = append(leaf.IPs, ip)
		case strings.Contains(name, "://"):
			leaf.URIs = append(leaf.URIs, name)
		default:
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	ts.Check(os.MkdirAll(ts.MkAbs(args[1]), 0o700))
	linktest.Write(ts, ts.MkAbs(args[1]), cas[args[0]].Issue(ts, leaf), cas[args[0]])
}

// port VARIABLE: the variable becomes a TCP port that nobody listens on.
func cmdPort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port VARIABLE")
	}
	address, err := freeport.Address()
	ts.Check(err)
	_, port, err := net.SplitHostPort(address)
	ts.Check(err)
	ts.Setenv(args[0], port)
}
