//go:build linux

package netns_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/netns"
)

// Processes of the test: one echoes datagrams, and one sends and says what comes back.
const (
	roleVariable = "LATCHKEY_NETNS_ROLE"
	port         = 7777
	patience     = 20 * time.Second
)

func TestMain(m *testing.M) {
	switch role, to, _ := strings.Cut(os.Getenv(roleVariable), " "); role {
	case "":
		os.Exit(m.Run())
	case "echo":
		echo()
	case "ask":
		ask(to)
	}
	os.Exit(1)
}

// echo sends back each datagram.
func echo() {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("listening")
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err == nil {
			_, err = c.WriteToUDPAddrPort(b[:n], from)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
}

// ask sends a datagram for each line that it reads, which begins with how long to wait for the echo, and says how long that took,
// or that none came.
func ask(to string) {
	c, err := net.Dial("udp4", to)
	if err != nil {
		fmt.Println(err)
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	b := make([]byte, 1500)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), " ")
		wait, err := time.ParseDuration(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		began := time.Now()
		_, err = fmt.Fprint(c, lines.Text())
		for err == nil {
			var n int
			_ = c.SetReadDeadline(began.Add(wait))
			if n, err = c.Read(b); err == nil && string(b[:n]) == lines.Text() {
				break
			}
		}
		if err != nil {
			fmt.Println("nothing")
			continue
		}
		fmt.Println(time.Since(began))
	}
}

// pair is two hosts, and a process in one that asks the other.
type pair struct {
	network *netns.Network
	a, b    *netns.Host
	in      io.Writer
	out     *bufio.Scanner
	asked   int
}

func start(t *testing.T) *pair {
	n, err := netns.New(1)
	if errors.Is(err, netns.ErrRefused) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &pair{network: n}
	for i, h := range []**netns.Host{&p.a, &p.b} {
		if *h, err = n.Join(netip.AddrFrom4([4]byte{10, 77, 0, byte(i + 1)})); err != nil {
			t.Fatal(err)
		}
	}
	_, said := run(t, p.b, "echo")
	if !said.Scan() || said.Text() != "listening" {
		t.Fatalf("the echo says %q", said.Text())
	}
	p.in, p.out = run(t, p.a, fmt.Sprintf("ask %s:%d", p.b.Addr(), port))
	return p
}

// run starts this test in another role, on a host.
func run(t *testing.T, h *netns.Host, role string) (io.Writer, *bufio.Scanner) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return in, bufio.NewScanner(out)
}

// silence is how long an echo is waited for that may not come. What has to come is waited for with patience.
const silence = 500 * time.Millisecond

// ask returns how long an echo took, and false for one that didn't come while it waited.
func (p *pair) ask(t *testing.T, wait time.Duration) (took time.Duration, ok bool) {
	t.Helper()
	p.asked++
	if _, err := fmt.Fprintln(p.in, wait, p.asked); err != nil {
		t.Fatal(err)
	}
	if !p.out.Scan() {
		t.Fatal("the process that asks has ended")
	}
	if p.out.Text() == "nothing" {
		return 0, false
	}
	took, err := time.ParseDuration(p.out.Text())
	if err != nil {
		t.Fatal(err)
	}
	return took, true
}

func TestWeather(t *testing.T) {
	p := start(t)
	fair := func() {
		t.Helper()
		p.network.Between(p.a, p.b, netns.Weather{})
		if _, ok := p.ask(t, patience); !ok {
			t.Fatal("in fair weather no echo comes")
		}
	}
	fair()

	t.Run("nothing comes, in either direction", func(t *testing.T) {
		for _, way := range [][2]*netns.Host{{p.a, p.b}, {p.b, p.a}} {
			p.network.Set(way[0], way[1], netns.Weather{Loss: 1})
			if _, ok := p.ask(t, silence); ok {
				t.Errorf("an echo comes although nothing goes from %s to %s", way[0].Addr(), way[1].Addr())
			}
			fair()
		}
	})
	t.Run("what comes is late", func(t *testing.T) {
		p.network.Between(p.a, p.b, netns.Weather{Delay: 60 * time.Millisecond, Jitter: 20 * time.Millisecond})
		for range 5 {
			if took, ok := p.ask(t, patience); !ok || took < 80*time.Millisecond {
				t.Errorf("an echo came (%t) after %s: at least 80ms", ok, took)
			}
		}
		fair()
	})
	t.Run("some comes", func(t *testing.T) {
		p.network.Set(p.a, p.b, netns.Weather{Loss: 0.5})
		asked, came := 0, 0
		for ; asked < 12 || (came == 0 || came == asked) && asked < 60; asked++ {
			if _, ok := p.ask(t, silence); ok {
				came++
			}
		}
		if came == 0 || came == asked {
			t.Errorf("%d of %d echoes came, with half of all packets lost", came, asked)
		}
		fair()
	})
}

// The hosts are apart from the machine and from each other's ports.
func TestHostsAreApart(t *testing.T) {
	p := start(t)
	c, err := net.DialTimeout("udp4", fmt.Sprintf("%s:%d", p.b.Addr(), port), patience)
	if err == nil {
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err = c.Write([]byte("hello")); err == nil {
			_, err = c.Read(make([]byte, 10))
		}
	}
	if err == nil {
		t.Error("a host can be reached from outside its network")
	}
	if _, err := p.network.Join(p.a.Addr()); err == nil {
		t.Error("two hosts have one address")
	}
	_, said := run(t, p.a, "echo")
	if !said.Scan() || said.Text() != "listening" {
		t.Errorf("the port of one host is taken at another: %q", said.Text())
	}
}

// This process itself connects from a host, and listens at one: where others reach it, or on the loopback, where none does.
func TestConnectionsOfThisProcess(t *testing.T) {
	p := start(t)
	for _, c := range []struct {
		at      string
		reached bool
	}{
		{p.a.Addr().String(), true},
		{"127.0.0.1", false},
	} {
		l, err := p.a.Listen("tcp", net.JoinHostPort(c.at, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		_, number, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := p.b.Dial(t.Context(), "tcp", net.JoinHostPort(p.a.Addr().String(), number))
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != c.reached {
			t.Errorf("who listens at %s is reached from elsewhere: %v, want %t", c.at, err, c.reached)
		}
	}
	if _, err := p.b.Dial(t.Context(), "tcp", "hub.example:80"); err == nil {
		t.Error("a name is dialled")
	}
}
