package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// importSize is how many keys the test imports. LATCHKEY_IMPORT=1000000 takes some minutes.
func importSize(t *testing.T) int {
	text := os.Getenv("LATCHKEY_IMPORT")
	if text == "" {
		return 2*importBatch + 2000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("LATCHKEY_IMPORT: %v", err)
	}
	return n
}

// hubProcess is a `latchkey serve` of its own, with kodey's policy and people.
type hubProcess struct {
	t     *testing.T
	dir   string
	admin string
	asks  *client // one for all: the server takes so many connections and no more
	cmd   *exec.Cmd
}

// newHub is one that isn't started.
func newHub(t *testing.T, dir string) *hubProcess {
	t.Helper()
	h := &hubProcess{t: t, dir: dir, admin: "unix:" + filepath.Join(dir, "admin.sock")}
	h.asks = &client{output: &output{}, admin: h.admin}
	if err := h.asks.connect(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	return h
}

func startHub(t *testing.T, dir string) *hubProcess {
	t.Helper()
	h := newHub(t, dir)
	t.Cleanup(func() { h.kill() })
	h.start()
	h.latchkey("directory", "apply", "-f", "../../examples/kodey/directory.yaml")
	return h
}

func (h *hubProcess) start() {
	h.t.Helper()
	h.cmd = exec.Command("latchkey", "serve", "--policy", "../../examples/kodey/policy.yaml", "--data", h.dir, "--http", "127.0.0.1:0")
	var log bytes.Buffer
	h.cmd.Stderr = &log
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); h.status() == nil; {
		select {
		case <-tick.C:
		case <-deadline:
			h.kill()
			h.t.Fatalf("the server isn't ready:\n%s", log.String())
		}
	}
}

func (h *hubProcess) kill() {
	if h.cmd != nil {
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
		h.cmd = nil
	}
}

// status returns the status of a server that is ready, and nil of another.
func (h *hubProcess) status() *adminv1.GetStatusResponse {
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	a, err := ask(ctx, h.asks.server.GetStatus, &adminv1.GetStatusRequest{})
	if err != nil || !a.GetReady() {
		return nil
	}
	return a
}

// latchkey runs a command that has to succeed, and returns what it printed.
func (h *hubProcess) latchkey(args ...string) string {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := h.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		h.t.Fatalf("latchkey %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String()
}

func (h *hubProcess) command(args ...string) *exec.Cmd {
	cmd := exec.Command("latchkey", args...)
	cmd.Env = append(os.Environ(), "LATCHKEY_ADMIN="+h.admin)
	return cmd
}

// keyLines writes a file of n keys that are right, numbered from the first.
func keyLines(t *testing.T, path string, first, n int) {
	t.Helper()
	var b bytes.Buffer
	for i := first; i < first+n; i++ {
		_, _ = fmt.Fprintf(&b, `{"policy":"kodey","type":"secret","tenant":"team:t_%d","name":"key %d","token_sha256":"%x"}`+"\n", i%3+1, i, sha256.Sum256([]byte(strconv.Itoa(i))))
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whoever is killed in the middle, the same command goes on; and what was
// exported is equal to what is exported after it was put back elsewhere.
func TestImportIsResumed(t *testing.T) {
	n, dir := importSize(t), t.TempDir()
	file := filepath.Join(dir, "keys.ndjson")
	keyLines(t, file, 0, n)
	h := startHub(t, filepath.Join(dir, "one"))

	// killed runs an import and has somebody killed once it has written more. Where all is there already, since the
	// machine was too busy to kill in time, there is more to import.
	killed := func(what string, kill func(importing *exec.Cmd)) {
		t.Helper()
		if int(h.status().GetKeys()) == n {
			n += 2*importBatch + 2000
			keyLines(t, file, 0, n)
		}
		before := h.status().GetPosition().GetRevision()
		importing := h.command("keys", "import", file, "--resume")
		if err := importing.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- importing.Wait() }()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ; ; <-tick.C {
			over := false
			var err error
			select {
			case err = <-ended: // looked at first: what it wrote is seen then
				over = true
			default:
			}
			if now := h.status(); now.GetPosition().GetRevision() > before {
				kill(importing)
				if !over {
					err = <-ended
				}
				t.Logf("%s: %v", what, err)
				return
			}
			if over {
				t.Fatalf("%s: the import ended before it wrote anything: %v", what, err)
			}
		}
	}
	killed("the client is killed", func(importing *exec.Cmd) { _ = importing.Process.Signal(syscall.SIGKILL) })
	if keys := h.status().GetKeys(); keys == 0 || keys%importBatch != 0 && int(keys) != n {
		t.Errorf("%d keys are there: a write is there as a whole or not at all", keys)
	}
	killed("the server is killed", func(*exec.Cmd) { h.kill() })
	h.start()
	t.Logf("%d of %d keys are there when the server is back", h.status().GetKeys(), n)
	var report struct{ Lines, Imported, Present int }
	if err := json.Unmarshal([]byte(h.latchkey("keys", "import", file, "--resume", "-o", "json", "--summary")), &report); err != nil {
		t.Fatal(err)
	}
	if report.Lines != n || report.Imported+report.Present != n || report.Present == 0 {
		t.Errorf("the report: %+v", report)
	}
	if keys := h.status().GetKeys(); int(keys) != n {
		t.Fatalf("%d keys are there, want %d", keys, n)
	}

	// Some are changed, so that there is something to be put back.
	h.latchkey("keys", "revoke", "--tenant", "team:t_2", "--yes", "--note", "in the middle")
	h.latchkey("keys", "disable", "--tenant", "team:t_3", "--yes")
	first, second := filepath.Join(dir, "first.ndjson"), filepath.Join(dir, "second.ndjson")
	h.latchkey("keys", "export", "-f", first)
	other := startHub(t, filepath.Join(dir, "two"))
	other.latchkey("keys", "import", first)
	other.latchkey("keys", "export", "-f", second)
	one, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(one, []byte("\n")); lines != n || !bytes.Equal(one, two) {
		t.Errorf("%d lines were exported, of %d keys; the two exports are equal: %t", lines, n, bytes.Equal(one, two))
	}
	if revoked := bytes.Count(one, []byte(`"revoked_at"`)); revoked != n/3 && revoked != n/3+1 {
		t.Errorf("%d keys were exported as revoked, of %d", revoked, n)
	}
}

// Of two who import one file at once each key is imported once. Without --resume one of them is told to use it, and in
// few lines; with it both go well.
func TestTwoImportsOfOneFile(t *testing.T) {
	dir := t.TempDir()
	h := startHub(t, filepath.Join(dir, "data"))
	n := 2*importBatch + 100
	for round, resume := range [][]string{nil, {"--resume"}} {
		file := filepath.Join(dir, fmt.Sprintf("keys-%d.ndjson", round))
		keyLines(t, file, round*n, n)
		before := int(h.status().GetKeys())
		var said [2]bytes.Buffer
		var running [2]*exec.Cmd
		for i := range running {
			running[i] = h.command(append([]string{"keys", "import", file}, resume...)...)
			running[i].Stderr = &said[i]
			if err := running[i].Start(); err != nil {
				t.Fatal(err)
			}
		}
		failed := 0
		for i := range running {
			if running[i].Wait() == nil {
				continue
			}
			failed++
			told := said[i].String()
			checked := strings.Contains(told, "nothing was imported") // by one who began late
			if lines := strings.Count(told, "\n"); !strings.Contains(told, "--resume") || !checked && lines > manyRefused+20 {
				t.Errorf("round %d: %d lines: %.500s", round, lines, told)
			}
		}
		if want := 1 - round; failed != want {
			t.Errorf("round %d: %d of two failed, want %d:\n%.500s\n%.500s", round, failed, want, said[0].String(), said[1].String())
		}
		if keys := int(h.status().GetKeys()); keys-before != n {
			t.Errorf("round %d: %d keys are there, want %d", round, keys-before, n)
		}
	}
}

// Each planted mistake is told, at its line, and no other; and nothing is imported.
func TestImportTellsEveryMistake(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.ndjson")
	n := importBatch + 1000
	keyLines(t, file, 0, n)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	digest := func(i int) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(strconv.Itoa(i)))) }
	kinds := []struct {
		spoil func(line string) string
		want  string
	}{
		{func(l string) string { return strings.Replace(l, `"policy"`, `"polcy"`, 1) }, `did you mean "policy"`},
		{func(l string) string { return l[:len(l)-5] }, "it is no JSON"},
		{func(l string) string { return "[" + l + "]" }, "it is no JSON object"},
		{func(l string) string { return strings.Replace(l, `"kodey"`, `"kody"`, 1) }, `did you mean "kodey"`},
		{func(l string) string { return strings.Replace(l, `"secret"`, `"secrets"`, 1) }, `did you mean "secret"`},
		{func(l string) string { return strings.Replace(l, `"team:t_`, `"team:nowhere_`, 1) }, "isn't in the directory"},
		{func(l string) string { return strings.Replace(l, `"name"`, `"type":"secret","name"`, 1) }, "stands twice"},
		{func(l string) string { return strings.Replace(l, `"token_sha256":"`, `"token_sha256":"x`, 1) }, "token_sha256"},
		{func(l string) string { return strings.Replace(l, `"name"`, `"scopes":["chat"],"name"`, 1) }, "can't be chosen"},
		{func(l string) string {
			return strings.Replace(l, `"name"`, `"expires_at":"2001-01-01T00:00:00Z","name"`, 1)
		}, "is past"},
		{func(l string) string { return strings.Replace(l, `"name"`, `"creator":"user:nobody","name"`, 1) }, "creator: "},
		{func(l string) string {
			return l[:strings.Index(l, `"token_sha256":"`)] + `"token_sha256":"` + digest(0) + `"}`
		}, "that of line 1:"},
		{func(l string) string { return strings.Replace(l, `"name"`, `"system":"yes","name"`, 1) }, "write true or false"},
		{func(l string) string { return strings.Replace(l, `"name"`, `"disabled":true,"name"`, 1) }, "give its id too"},
	}
	want := map[int]string{}
	for i := range 100 {
		at, kind := 7+i*(n-10)/100, kinds[i%len(kinds)]
		lines[at] = kind.spoil(lines[at])
		want[at+1] = kind.want
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	h := startHub(t, filepath.Join(dir, "data"))
	var stdout, stderr bytes.Buffer
	cmd := h.command("keys", "import", file, "-o", "json")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != exitFailed || stdout.Len() > 0 {
		t.Errorf("%v, and on stdout %q", err, stdout.String())
	}
	told := map[int]bool{}
	for line := range strings.SplitSeq(strings.TrimSpace(stderr.String()), "\n") {
		rest, ok := strings.CutPrefix(line, file+":")
		if !ok {
			if line != fmt.Sprintf("latchkey: nothing was imported: 100 of %d lines are wrong", n) {
				t.Errorf("besides: %s", line)
			}
			continue
		}
		number, message, _ := strings.Cut(rest, ": ")
		at, err := strconv.Atoi(number)
		if err != nil || want[at] == "" || told[at] || !strings.Contains(message, want[at]) {
			t.Errorf("want %q, told: %s", want[at], line)
		}
		told[at] = true
	}
	if len(told) != 100 {
		t.Errorf("%d lines were told of, want 100", len(told))
	}
	if keys := h.status().GetKeys(); keys != 0 {
		t.Errorf("%d keys were imported", keys)
	}
}
