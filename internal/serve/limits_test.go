package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// rawPeer speaks HTTP/2 as gRPC clients don't.
type rawPeer struct {
	t *testing.T
	net.Conn
	*http2.Framer
	next uint32
}

func rawDial(t *testing.T, l net.Listener) *rawPeer {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	p := &rawPeer{t, c, http2.NewFramer(c, c), 1}
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	// Who is refused may be so before he has said anything.
	if _, err := io.WriteString(c, http2.ClientPreface); err == nil {
		_ = p.WriteSettings()
	}
	return p
}

func (p *rawPeer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// call begins a call of the health service, and sends no message.
func (p *rawPeer) call() uint32 {
	p.t.Helper()
	var b bytes.Buffer
	h := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/grpc.health.v1.Health/Check"}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		p.must(h.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	id := p.next
	p.next += 2
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b.Bytes(), EndHeaders: true}))
	return id
}

// until reads frames until one is what is looked for, or the connection ends.
func (p *rawPeer) until(is func(http2.Frame) bool) error {
	for {
		f, err := p.ReadFrame()
		if err != nil || is(f) {
			return err
		}
	}
}

// pong returns once the server has read all that was sent before.
func (p *rawPeer) pong() {
	p.t.Helper()
	p.must(p.WritePing(false, [8]byte{1}))
	p.must(p.until(func(f http2.Frame) bool {
		f, ok := f.(*http2.PingFrame)
		return ok && f.Header().Flags.Has(http2.FlagPingAck)
	}))
}

// bounded is a server of the health alone.
func bounded(t *testing.T) (*GRPC, *Listener, *bytes.Buffer) {
	t.Helper()
	g, l, out := NewGRPC(), local(t), &bytes.Buffer{}
	g.TellLimits(slog.New(slog.NewTextHandler(out, nil)))
	h := NewHealth()
	h.SetReady(true)
	h.Register(g)
	start(t, func(ctx context.Context) error { return g.Run(ctx, l) })
	return g, l, out
}

func (g *GRPC) times(l limit) float64 { return g.refusals.times(l) }

// times returns how often a limit was reached, as the metric tells.
func (r *refusals) times(l limit) float64 {
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.counter)
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == string(l) {
			return m.GetCounter().GetValue()
		}
	}
	panic("no such limit: " + l)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("%s: never", what)
		case <-tick.C:
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	g, l, out := bounded(t)
	var open []*rawPeer
	for range maxConnections {
		p := rawDial(t, l)
		p.pong()
		open = append(open, p)
	}
	over := rawDial(t, l)
	var why string
	err := over.until(func(f http2.Frame) bool {
		g, ok := f.(*http2.GoAwayFrame)
		if ok {
			why = string(g.DebugData())
		}
		return ok
	})
	// What it has sent already may make the kernel drop the explanation.
	if err == nil && !strings.Contains(why, "too many connections") {
		t.Errorf("refused with %q", why)
	}
	if err := over.until(func(http2.Frame) bool { return false }); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection beyond the limit ends with %v", err)
	}
	if n := g.times(connectionsLimit); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
	open[3].pong()
	_ = open[0].Close()
	eventually(t, "another connection is let in", func() bool {
		_, err := healthClient(t, l).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
		return err == nil
	})
	if !strings.Contains(out.String(), "limit=connections") || !strings.Contains(out.String(), "remedy=") {
		t.Errorf("the log says %s", out)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	g, l, _ := bounded(t)
	client := healthClient(t, l)
	ask := func(length int) error {
		// Two bytes and three of length stand before a long name.
		_, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: strings.Repeat("x", length-4)})
		return err
	}
	if err := ask(maxMessage); status.Code(err) != codes.NotFound {
		t.Errorf("at the limit: %v", err)
	}
	err := ask(maxMessage + 1)
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "(131073 vs. 131072)") {
		t.Errorf("over the limit: %v", err)
	}
	if n := g.times(messageLimit); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
}

// Calls that send no message take their places, and no more than those.
func TestWaitingCallsAreBounded(t *testing.T) {
	g, l, _ := bounded(t)
	const peers = 12
	const calls = peers * (maxStreams - 1)
	all := make([]*rawPeer, peers)
	for i := range all {
		all[i] = rawDial(t, l)
		for range maxStreams - 1 { // one is left for the honest below
			all[i].call()
		}
		all[i].pong()
	}
	const refused = calls - peers*fairShare - maxWaiting
	eventually(t, "those beyond are refused", func() bool { return g.times(waitingLimit) == refused })
	if _, err := healthClient(t, l).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("meanwhile another is told: %v", err)
	}
	g.connections.sweep()
	g.connections.sweep()
	for _, p := range all {
		if err := p.until(func(http2.Frame) bool { return false }); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after messageTime the connection goes on: %v", err)
		}
	}
	if n := g.times(timeLimit); n != peers {
		t.Errorf("%v connections counted", n)
	}
	eventually(t, "no call waits", func() bool { return g.connections.waiting.Load() == 0 })
}

func TestOnlySlowMessagesAreCutOff(t *testing.T) {
	g, l, _ := bounded(t)
	slow, quick := rawDial(t, l), rawDial(t, l)
	id := slow.call()
	slow.must(slow.WriteData(id, false, []byte{0, 0, 0, 0, 100, 1, 2}))
	slow.pong()
	eventually(t, "a call waits", func() bool {
		g.connections.mu.Lock()
		defer g.connections.mu.Unlock()
		for c := range g.connections.open {
			if c.waiting[0].Load() > 0 {
				return true
			}
		}
		return false
	})
	g.connections.sweep()
	slow.pong() // not yet
	id = quick.call()
	g.connections.sweep()
	if err := slow.until(func(http2.Frame) bool { return false }); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the slow connection goes on: %v", err)
	}
	quick.must(quick.WriteData(id, true, make([]byte, 5)))
	if err := quick.until(func(f http2.Frame) bool {
		return f.Header().StreamID == id && f.Header().Flags.Has(http2.FlagHeadersEndStream)
	}); err != nil {
		t.Errorf("the quick connection ends: %v", err)
	}
}

func TestByteByByteIsCutOff(t *testing.T) {
	g, l, _ := bounded(t)
	p := rawDial(t, l)
	id := p.call()
	p.must(p.WriteData(id, false, []byte{0, 0, 0, 0xff, 0xff}))
	for range 4 * maxFragments {
		if p.WriteData(id, false, []byte{1}) != nil {
			break
		}
	}
	if err := p.until(func(http2.Frame) bool { return false }); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection goes on: %v", err)
	}
	if n := g.times(fragmentsLimit); n != 1 {
		t.Errorf("%v counted", n)
	}
}

func TestWatchesAreBounded(t *testing.T) {
	g, l, _ := bounded(t)
	client := healthClient(t, l)
	for range maxWatches {
		w, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = w.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = w.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted || g.times(watchesLimit) != 1 {
		t.Errorf("one more watch: %v", err)
	}
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("a check beside them: %v", err)
	}
}

// What a good client does in a hurry reaches no limit.
func TestBusyPeersReachNoLimit(t *testing.T) {
	g, l, out := bounded(t)
	done := make(chan error, 4)
	for range 4 {
		conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		client := grpc_health_v1.NewHealthClient(conn)
		for range 200 { // more than there may be streams
			go func() {
				var err error
				for i := range 5 {
					_, err = client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: strings.Repeat("x", i*14_000)})
					if status.Code(err) == codes.NotFound || err == nil {
						continue
					}
					break
				}
				if status.Code(err) == codes.NotFound {
					err = nil
				}
				done <- err
			}()
		}
	}
	for range 4 * 200 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for l := range remedies {
		if n := g.times(l); n != 0 {
			t.Errorf("%s was reached %v times: %s", l, n, out)
		}
	}
}

func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs, ours := net.Pipe()
		defer func() { _ = theirs.Close() }()
		all := &connections{refusals: newRefusals()}
		c := all.add(ours)
		begin := time.Now()
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != writeTime {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("then: %v", err)
		}
		if len(all.open) != 0 {
			t.Error("it keeps its place")
		}
	})
}

// stuck is a connection whose write lasts until it is told, and that tells when it is read.
type stuck struct {
	net.Conn
	end, read chan struct{}
}

func (s stuck) SetWriteDeadline(time.Time) error { return nil }

func (s stuck) Write(b []byte) (int, error) {
	<-s.end
	return len(b), nil
}

func (s stuck) Read([]byte) (int, error) {
	s.read <- struct{}{}
	return 0, io.EOF
}

func TestWhoDoesNotReadIsNotRead(t *testing.T) {
	s := stuck{nil, make(chan struct{}), make(chan struct{}, 2)}
	c := (&connections{refusals: newRefusals()}).add(s)
	go func() { _, _ = c.Write([]byte("x")) }()
	eventually(t, "a write lasts", func() bool {
		since := c.writing.Load()
		return since != 0 && time.Now().UnixNano()-since > int64(writePatience)
	})
	go func() { _, _ = c.Read(nil) }()
	select {
	case <-s.read:
		t.Error("it is read while a write lasts")
	case <-time.After(10 * writePatience):
	}
	close(s.end)
	select {
	case <-s.read:
	case <-time.After(time.Minute):
		t.Error("it isn't read once the write is over")
	}
}

func TestTheLogIsNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := newRefusals()
		r.add(messageLimit, "before there is a log", 1)
		r.log.Store(slog.New(slog.NewTextHandler(&out, nil)))
		for range 25 {
			for range 1000 {
				r.add(messageLimit, "a message was too long", maxMessage)
			}
			time.Sleep(time.Second)
		}
		if lines := strings.Count(out.String(), "\n"); lines != 3 || !strings.Contains(out.String(), "times=10000") {
			t.Errorf("%d lines:\n%s", lines, out.String())
		}
		if n := r.times(messageLimit); n != 25_001 {
			t.Errorf("%v counted", n)
		}
	})
}

// The document has each limit, as it is, with its label.
func TestDocsLimits(t *testing.T) {
	text, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| limit | is | label |")
	table, _, _ = strings.Cut(table, "\n\n")
	seconds := func(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Seconds())) }
	labels := 0
	for _, c := range []struct {
		is    string
		label limit
	}{
		{fmt.Sprint(maxConnections), connectionsLimit},
		{fmt.Sprint(maxStreams), ""},
		{fmt.Sprintf("%d KiB", maxMessage>>10), messageLimit},
		{fmt.Sprintf("%d KiB", maxHeaders>>10), ""},
		{fmt.Sprintf("%d a connection, and 1,024 beyond those", fairShare), waitingLimit},
		{fmt.Sprintf("%d to %s", int(messageTime.Seconds()), seconds(2*messageTime)), timeLimit},
		{fmt.Sprintf("%d, and one more for each %d KiB", maxFragments, fragmentCost>>10), fragmentsLimit},
		{fmt.Sprint(maxWatches), watchesLimit},
		{seconds(writeTime), readingLimit},
		{fmt.Sprintf("%d min", int(idleTime.Minutes())), ""},
		{seconds(pingTime), ""},
		{seconds(connectTime), ""},
	} {
		label := ""
		if c.label != "" {
			labels++
			label = "`" + string(c.label) + "`"
		}
		if row := "| " + c.is + " | " + label; !strings.Contains(table, row) {
			t.Errorf("no row of the table of limits has %q", row)
		}
	}
	if labels != len(remedies) || maxWaiting != 1024 {
		t.Error("there is another limit: document it")
	}
}
