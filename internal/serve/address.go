package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// maxSocketPath is how long the path of a Unix socket may be: sun_path of
// Linux, less its final NUL.
const maxSocketPath = 107

// Address is where a process listens or connects to.
type Address struct {
	network string // "tcp" or "unix"
	target  string // host:port, or a path
}

// ParseAddress reads `host:port` or `unix:PATH`. The error says what to write.
func ParseAddress(text string) (Address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		switch {
		case path == "":
			return Address{}, errors.New(`the address "unix:" names no socket: write unix:PATH`)
		case strings.HasPrefix(path, "@"):
			return Address{}, fmt.Errorf("%q is an abstract socket, which anybody may open: write unix:PATH", text)
		case strings.HasPrefix(path, "//"):
			return Address{}, fmt.Errorf("%q has slashes to spare: write unix:PATH, such as unix:/run/latchkey.sock", text)
		case strings.ContainsRune(path, 0):
			return Address{}, errors.New("the path of a socket holds a NUL byte")
		}
		return UnixAddress(path), nil
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return Address{}, fmt.Errorf("%q is no address: write host:port or unix:PATH", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Address{}, fmt.Errorf("%q has no port number from 0 to 65535: write host:port", text)
	}
	return Address{"tcp", text}, nil
}

// UnixAddress returns the address of the Unix socket at a path.
func UnixAddress(path string) Address { return Address{"unix", filepath.Clean(path)} }

// IsUnix reports whether it is a Unix socket.
func (a Address) IsUnix() bool { return a.network == "unix" }

// String returns the address as ParseAddress reads it.
func (a Address) String() string {
	if a.IsUnix() {
		return "unix:" + a.target
	}
	return a.target
}

// Dial connects to the address.
func (a Address) Dial(ctx context.Context) (net.Conn, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, a.network, a.target)
}

func (a Address) check() error {
	if a.IsUnix() && len(a.target) > maxSocketPath {
		return fmt.Errorf("the path of the socket is %d bytes long and may have %d: choose a shorter one, or one relative to the working directory: %s",
			len(a.target), maxSocketPath, a.target)
	}
	return nil
}

// NobodyListens reports whether an error of Dial, however wrapped, says that no
// process listens there.
func NobodyListens(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// Host returns the host of a TCP address; empty for a Unix socket.
func (a Address) Host() string {
	host, _, _ := net.SplitHostPort(a.target)
	if a.IsUnix() {
		return ""
	}
	return host
}

// Target returns the address as gRPC dials it.
func (a Address) Target() string {
	if a.IsUnix() {
		return "unix:" + a.target
	}
	return "dns:///" + a.target
}
