package admin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey/latchkey/key"
)

// Another user of the machine is cut off, although the socket lets it in.
func TestAnotherUserIsCutOff(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user for a while")
	}
	b := start(t)
	name := "@latchkey-test-" + key.NewID() // an abstract name: no file whose rights would be in the way
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: b.Handler(), ConnContext: ConnContext}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	defer func() {
		_ = server.Close()
		<-done
	}()
	for uid, want := range map[int]string{0: "200 OK", 65534: ""} {
		status, err := postAs(t.Context(), uid, name, `{"key":`+plainKey+`,"dry_run":true}`)
		if want == "" && err == nil || !strings.Contains(status, want) {
			t.Errorf("user %d: %q, %v", uid, status, err)
		}
	}
}

// postAs connects as another user and returns the first line of the answer.
func postAs(ctx context.Context, uid int, name, body string) (string, error) {
	conns, errs := make(chan net.Conn, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function, and its identity with it
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); e != 0 {
			errs <- e
			return
		}
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err == nil {
			err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: name})
		}
		if err != nil {
			errs <- err
			return
		}
		f := os.NewFile(uintptr(fd), "socket")
		conn, err := net.FileConn(f)
		if err = errors.Join(err, f.Close()); err != nil {
			errs <- err
			return
		}
		conns <- conn
	}()
	select {
	case err := <-errs:
		return "", err
	case <-ctx.Done():
		return "", ctx.Err()
	case conn := <-conns:
		defer func() { _ = conn.Close() }()
		r, err := http.NewRequestWithContext(ctx, "POST", "http://localhost"+create, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		r.Header.Set("Content-Type", "application/json")
		if err := r.Write(conn); err != nil {
			return "", err
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if errors.Is(err, io.EOF) {
			return "", io.ErrUnexpectedEOF
		}
		return line, err
	}
}
