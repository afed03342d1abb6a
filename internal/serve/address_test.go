package serve

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:9902":        "127.0.0.1:9902",
		"[::1]:0":               "[::1]:0",
		":9902":                 ":9902",
		"localhost:65535":       "localhost:65535",
		"unix:a.sock":           "unix:a.sock",
		"unix:./data/a.sock":    "unix:data/a.sock",
		"unix:/run/x/../a.sock": "unix:/run/a.sock",
	} {
		a, err := ParseAddress(text)
		if err != nil || a.String() != want {
			t.Errorf("ParseAddress(%q) = %v, %v; want %q", text, a, err, want)
		}
	}
	for _, text := range []string{
		"", "9902", "localhost", "localhost:", "localhost:http", "localhost:65536", "localhost:-1",
		"http://localhost:80", "unix:", "unix:@abstract", "unix:///run/a.sock", "unix:a\x00b", "/run/a.sock",
	} {
		if a, err := ParseAddress(text); err == nil {
			t.Errorf("ParseAddress(%q) = %v, want an error", text, a)
		}
	}
}

func socketAt(t *testing.T, dir string) Address {
	t.Helper()
	return UnixAddress(filepath.Join(dir, "a.sock"))
}

// shortDir is a folder whose sockets' paths fit.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func mustListen(t *testing.T, a Address, mode fs.FileMode) *Listener {
	t.Helper()
	l, err := a.Listen(mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestSocketHasItsMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o660} {
		dir := shortDir(t)
		mustListen(t, socketAt(t, dir), mode)
		info, err := os.Stat(filepath.Join(dir, "a.sock"))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != fs.ModeSocket|mode {
			t.Errorf("mode %v, want %v", got, fs.ModeSocket|mode)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("the folder holds %v, %v; want the socket alone", entries, err)
		}
	}
}

func TestSocketOfALivingProcessIsNotTaken(t *testing.T) {
	a := socketAt(t, shortDir(t))
	mustListen(t, a, 0o600)
	if _, err := a.Listen(0o600); err == nil || !strings.Contains(err.Error(), "another process answers there") {
		t.Errorf("got %v, want a refusal", err)
	}
	if conn, err := a.Dial(context.Background()); err != nil {
		t.Errorf("the first listener doesn't answer any more: %v", err)
	} else if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	a := socketAt(t, shortDir(t))
	dead := mustListen(t, a, 0o600)
	if err := dead.sockets.open[0].Close(); err != nil { // as after kill -9: the file stays
		t.Fatal(err)
	}
	if _, err := os.Lstat(a.target); err != nil {
		t.Fatalf("the test needs a socket left behind: %v", err)
	}
	mustListen(t, a, 0o600)
}

func TestOtherFilesAreNotReplaced(t *testing.T) {
	dir := shortDir(t)
	if err := os.WriteFile(filepath.Join(dir, "a.sock"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := socketAt(t, dir).Listen(0o600); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestCloseRemovesOnlyItsOwnSocket(t *testing.T) {
	a := socketAt(t, shortDir(t))
	l := mustListen(t, a, 0o600)
	if err := os.Remove(a.target); err != nil {
		t.Fatal(err)
	}
	other := mustListen(t, a, 0o600)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(a.target); err != nil {
		t.Errorf("the other's socket is gone: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(a.target); err == nil {
		t.Error("the socket stays after Close")
	}
}

func TestLongSocketPathIsExplained(t *testing.T) {
	a := UnixAddress("/tmp/" + strings.Repeat("x", 120) + "/a.sock")
	for name, err := range map[string]error{
		"Listen": func() error { _, err := a.Listen(0o600); return err }(),
		"Dial":   func() error { _, err := a.Dial(context.Background()); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "choose a shorter one") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPortZeroIsTold(t *testing.T) {
	a, err := ParseAddress("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := mustListen(t, a, 0)
	if got := l.Address().String(); got != l.Addr().String() || strings.HasSuffix(got, ":0") {
		t.Errorf("Address() = %q, listening on %v", got, l.Addr())
	}
}

func TestNobodyListens(t *testing.T) {
	dir := shortDir(t)
	_, err := socketAt(t, dir).Dial(context.Background())
	if !NobodyListens(err) {
		t.Errorf("NobodyListens(%v) = false", err)
	}
}
