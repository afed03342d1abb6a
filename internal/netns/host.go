//go:build linux

package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// ErrRefused is returned where the system doesn't let this process make networks.
var ErrRefused = errors.New("network namespaces can't be made here: run this as root on Linux with /dev/net/tun")

// Host is a network namespace with one address. It is safe for concurrent use.
type Host struct {
	addr netip.Addr
	ns   *os.File
	wire *os.File // its packets, out and in
}

// ownNamespace is that of the calling thread.
const ownNamespace = "/proc/thread-self/ns/net"

// newHost makes a namespace with a device that has the address, in a network of 256 addresses.
func newHost(addr netip.Addr) (*Host, error) {
	h := &Host{addr: addr}
	err := elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
		if h.ns, err = os.Open(ownNamespace); err != nil {
			return err
		}
		h.wire, err = openWire(addr)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// elsewhere calls f in a network namespace that enter enters, on a thread that is back in its own before anybody else
// uses it.
func elsewhere(enter, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		back, err := visit(enter, f)
		if back { // else the thread ends with this goroutine
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// visit is elsewhere on the calling thread, and reports whether that is back where it was.
func visit(enter, f func() error) (back bool, err error) {
	home, err := os.Open(ownNamespace)
	if err != nil {
		return true, refused(err)
	}
	defer func() { err = errors.Join(err, home.Close()) }()
	if err := enter(); err != nil {
		return true, refused(err)
	}
	err = f()
	returned := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
	return returned == nil, errors.Join(err, returned)
}

func refused(err error) error {
	for _, why := range []error{unix.EPERM, unix.EACCES, unix.ENOENT, unix.ENODEV, unix.ENOSYS, unix.EINVAL} {
		if errors.Is(err, why) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return err
}

// openWire makes a TUN device in the namespace of the calling thread, gives it the address, and returns its other end.
func openWire(addr netip.Addr) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, refused(fmt.Errorf("/dev/net/tun: %w", err))
	}
	device, err := unix.NewIfreq("wire")
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	device.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, device); err != nil {
		return nil, errors.Join(refused(fmt.Errorf("making a TUN device: %w", err)), unix.Close(fd))
	}
	if err := configure(addr); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "wire of "+addr.String()), nil
}

// configure gives the wire its address, and brings it and the loopback up.
func configure(addr netip.Addr) (err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	set := func(name string, request uint, change func(*unix.Ifreq) error) {
		device, failed := unix.NewIfreq(name)
		if failed == nil {
			failed = change(device)
		}
		if failed == nil {
			failed = unix.IoctlIfreq(fd, request, device)
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("configuring %s: %w", name, failed))
		}
	}
	ip := addr.As4()
	set("wire", unix.SIOCSIFADDR, func(d *unix.Ifreq) error { return d.SetInet4Addr(ip[:]) })
	set("wire", unix.SIOCSIFNETMASK, func(d *unix.Ifreq) error { return d.SetInet4Addr([]byte{255, 255, 255, 0}) })
	for _, name := range []string{"wire", "lo"} {
		set(name, unix.SIOCSIFFLAGS, func(d *unix.Ifreq) error { d.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
	}
	return err
}

// Addr returns the host's address.
func (h *Host) Addr() netip.Addr { return h.addr }

// Start starts a command in the host's namespace. Files and Unix sockets are those that all hosts have.
func (h *Host) Start(cmd *exec.Cmd) error { return elsewhere(h.enter, cmd.Start) }

// Dial connects from the host to an address, which is an IP address and a port: nobody answers for names there.
func (h *Host) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, err
	}
	err = elsewhere(h.enter, func() (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Listen opens a listener of this process at an address of the host, such as 127.0.0.1:8080.
func (h *Host) Listen(network, address string) (l net.Listener, err error) {
	err = elsewhere(h.enter, func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

func (h *Host) enter() error { return unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET) }

func (h *Host) close() (err error) {
	for _, f := range []*os.File{h.wire, h.ns} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
