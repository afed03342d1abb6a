package e2e

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/latchkey/latchkey/internal/oracle"
)

// Limits of the check listener, as docs/performance.md has them.
const (
	mostConnections = 128
	mostStreams     = 100
	longestMessage  = 128 << 10
)

// pests are how many connections a flood has: all that the honest one leaves,
// and some to be refused.
const pests = mostConnections + 10

// floodings are all floods. Each goes on until its limit was reached.
var floodings = []flooding{
	{"huge messages", 128, "message_size", hugeMessages},
	{"many whole messages", 320, "", wholeMessages},
	{"huge headers of calls", 96, "", hugeHeaders},
	{"calls without a message", 320, "waiting_calls", withoutMessage},
	{"calls with half a message", 320, "waiting_calls", halfMessages},
	{"messages byte by byte", 96, "fragments", byteByByte},
	{"answers that nobody reads", 320, "", unread},
	{"answers without a window", 320, "", noWindow},
	{"distinct garbage keys", 96, "", garbageKeys},
	{"rapid reset", 128, "", rapidReset},
	{"pings and settings", 96, "", controlFrames},
	{"connections that say nothing", 96, "connections", silent},
}

// each runs something on many connections, anew on another when one ends, until
// the context does.
func each(ctx context.Context, f *flooded, n int, deaf bool, settings []http2.Setting, run func(*pest) error) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				p, err := newPest(ctx, f.socket, deaf, settings...)
				if err == nil {
					f.note("connections", 1)
					err = run(p)
					p.end(err)
				}
				if ctx.Err() == nil {
					f.note("ended", 1)
					pause(ctx, 50*time.Millisecond) // the server refuses many at once
				}
			}
		})
	}
	all.Wait()
}

// pause lets time go by, or the context end.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// long is a request whose message is as long as it is told, with a garbage key.
func long(r *rand.Rand, length int) *authv3.CheckRequest {
	m := garbage(r)
	headers := m.GetAttributes().GetRequest().GetHttp().GetHeaders()
	headers["x-long"] = ""
	// What stands around it grows by the length of lengths.
	for range 3 {
		f, err := framed(m)
		if err != nil {
			panic(err)
		}
		headers["x-long"] += strings.Repeat("x", max(0, length-(len(f)-5)))
		if d := len(headers["x-long"]); d > 0 && len(f)-5 > length {
			headers["x-long"] = headers["x-long"][:d-(len(f)-5-length)]
		}
	}
	return m
}

// hugeMessages sends messages as long as they may be, and others that are longer.
func hugeMessages(ctx context.Context, f *flooded) {
	within, over := long(f.random, longestMessage-64), long(f.random, longestMessage+64)
	var all sync.WaitGroup
	for range 16 {
		conn, err := grpc.NewClient("unix:"+f.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			f.t.Error(err)
			return
		}
		check := authv3.NewAuthorizationClient(conn)
		var calls sync.WaitGroup
		for range 16 {
			calls.Go(func() {
				for ctx.Err() == nil {
					got, err := check.Check(context.WithoutCancel(ctx), within)
					switch {
					case err != nil || got.GetDeniedResponse().GetStatus().GetCode() != 401:
						f.t.Errorf("a message within the limit is answered %v, %v", got.GetDeniedResponse().GetStatus(), err)
						return
					default:
						f.note("within", 1)
					}
					switch _, err := check.Check(context.WithoutCancel(ctx), over); {
					case !exhausted(err):
						f.t.Errorf("a message over the limit is answered %v", err)
						return
					default:
						f.note("over", 1)
					}
				}
			})
		}
		all.Go(func() { calls.Wait(); _ = conn.Close() })
	}
	all.Wait()
}

// hugeHeaders sends calls with headers of their own that are too long.
func hugeHeaders(ctx context.Context, f *flooded) {
	conn, err := grpc.NewClient("unix:"+f.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		f.t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	check := authv3.NewAuthorizationClient(conn)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(5, uint64(i)))
			with := metadata.AppendToOutgoingContext(ctx, "x-long", strings.Repeat("x", 64<<10))
			for ctx.Err() == nil {
				if _, err := check.Check(with, garbage(r)); err == nil {
					f.t.Error("64 KiB of headers of a call are accepted")
					return
				}
				f.note("calls", 1)
			}
		})
	}
	all.Wait()
}

// keepOpen has as many calls open as it can, on every connection, and begins
// others whenever it finds, after a pause, that some have ended.
func keepOpen(ctx context.Context, f *flooded, pause time.Duration, begin func(*pest) error) {
	each(ctx, f, pests, false, nil, func(p *pest) error {
		for {
			for p.open() < mostStreams {
				if err := begin(p); err != nil {
					return err
				}
				f.note("calls", 1)
			}
			p.wait(pause)
			if err := p.ended(); err != nil {
				return err
			}
		}
	})
}

// withoutMessage opens as many calls as it can, and sends no message.
func withoutMessage(ctx context.Context, f *flooded) {
	keepOpen(ctx, f, 20*time.Millisecond, func(p *pest) error {
		_, err := p.call(many...)
		return err
	})
}

// halfMessages opens as many calls as it can, and sends of each message all but
// its last byte.
func halfMessages(ctx context.Context, f *flooded) {
	part, err := framed(long(f.random, longestMessage-64))
	if err != nil {
		f.t.Error(err)
		return
	}
	part = part[:len(part)-1]
	keepOpen(ctx, f, 20*time.Millisecond, func(p *pest) error {
		id, err := p.call()
		if err == nil {
			err = p.send(id, part, false)
		}
		return err
	})
}

// wholeMessages sends as many long messages at a time as it can, each of which
// comes before it is asked for.
func wholeMessages(ctx context.Context, f *flooded) {
	message, err := framed(long(f.random, 60<<10))
	if err != nil {
		f.t.Error(err)
		return
	}
	keepOpen(ctx, f, time.Millisecond, func(p *pest) error {
		id, err := p.call()
		if err == nil {
			err = p.send(id, message, true)
		}
		return err
	})
}

// byteByByte sends each byte of a message by itself.
func byteByByte(ctx context.Context, f *flooded) {
	each(ctx, f, 64, false, nil, func(p *pest) error {
		id, err := p.call()
		if err != nil {
			return err
		}
		if err := p.send(id, []byte{0, 0, 1, 0, 0}, false); err != nil {
			return err
		}
		for {
			if err := p.send(id, []byte{1}, false); err != nil {
				return err
			}
			if err := p.ended(); err != nil {
				return err
			}
			f.note("bytes", 1)
		}
	})
}

// whole sends whole checks until the server takes no more, and then waits.
func whole(ctx context.Context, f *flooded, deaf bool, settings ...http2.Setting) {
	message, err := framed(garbage(f.random))
	if err != nil {
		f.t.Error(err)
		return
	}
	each(ctx, f, pests, deaf, settings, func(p *pest) error {
		for {
			for deaf || p.open() < mostStreams {
				id, err := p.call(many...)
				if err == nil {
					err = p.WriteData(id, true, message)
				}
				if err != nil {
					return err
				}
				f.note("calls", 1)
			}
			p.wait(20 * time.Millisecond)
			if err := p.ended(); err != nil {
				return err
			}
		}
	})
}

// unread sends checks and reads nothing from the socket.
func unread(ctx context.Context, f *flooded) { whole(ctx, f, true) }

// noWindow reads, and lets no answer be sent.
func noWindow(ctx context.Context, f *flooded) {
	whole(ctx, f, false, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
}

// garbageKeys asks with keys that nobody issued, well formed or not.
func garbageKeys(ctx context.Context, f *flooded) {
	conn, err := grpc.NewClient("unix:"+f.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		f.t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	check := authv3.NewAuthorizationClient(conn)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(6, uint64(i)))
			for ctx.Err() == nil {
				m := garbage(r)
				if i%2 == 0 {
					bad := make([]byte, r.IntN(8000))
					for i := range bad {
						bad[i] = byte(' ' + r.IntN(95))
					}
					m = checkRequest(oracle.Request{Method: "GET", Host: "api.kodey.example", Path: "/v1/chat", Headers: []oracle.Header{{Name: "authorization", Value: "Bearer " + string(bad)}}})
				}
				got, err := check.Check(context.WithoutCancel(ctx), m)
				if err != nil || got.GetDeniedResponse().GetStatus().GetCode() != 401 {
					f.t.Errorf("a garbage key is answered %v, %v", got.GetDeniedResponse().GetStatus(), err)
					return
				}
				f.note("checks", 1)
			}
		})
	}
	all.Wait()
}

// rapidReset begins checks and takes them back at once.
func rapidReset(ctx context.Context, f *flooded) {
	message, err := framed(garbage(f.random))
	if err != nil {
		f.t.Error(err)
		return
	}
	each(ctx, f, 16, false, nil, func(p *pest) error {
		for {
			id, err := p.call(hpack.HeaderField{Name: "x-more", Value: strings.Repeat("x", 1000)})
			if err == nil && id%4 == 1 { // every other has a message
				err = p.WriteData(id, true, message)
			}
			if err == nil {
				err = p.WriteRSTStream(id, http2.ErrCodeCancel)
			}
			if err != nil {
				return err
			}
			f.note("calls", 1)
		}
	})
}

// controlFrames sends what has to be answered, and reads no answers.
func controlFrames(ctx context.Context, f *flooded) {
	each(ctx, f, 16, true, nil, func(p *pest) error {
		for {
			if err := p.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 15}); err != nil {
				return err
			}
			if err := p.WritePing(false, [8]byte{1}); err != nil {
				return err
			}
			f.note("frames", 2)
		}
	})
}

// silent connects and says nothing.
func silent(ctx context.Context, f *flooded) {
	each(ctx, f, pests, false, nil, func(p *pest) error {
		p.wait(time.Hour)
		return p.ended()
	})
}
