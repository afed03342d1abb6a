package authz

import (
	"context"
	"log/slog"
	"slices"
	"syscall"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/policy"
)

// bench is one request to measure, and who answers it.
type bench struct {
	reason  policy.Reason
	message []byte
	server  *Server
}

// benches has a request for every reason that Check can answer with, with the
// headers that a real client's has.
func benches(tb testing.TB) []bench {
	tb.Helper()
	newWorld(tb)
	began := time.Now()
	var all []bench
	for reason, c := range reasonCases() {
		w := newWorld(tb)
		if c.world != nil {
			c.world(w)
		}
		view := w.view()
		view.Keys, view.Directory = indexed(w), peopledOf(w)
		if view.Lease == nil { // a replica does what others do, and asks its lease
			view.Lease = &Lease{Contact: noon, Limit: time.Hour, Hub: noon, Heard: noon}
		}
		b := bench{reason: reason, server: NewServer(Options{
			Source: func() View { return view }, Now: func() time.Time { return noon.Add(time.Since(began)) }, Log: slog.New(slog.DiscardHandler),
		})}
		var err error
		if b.message, err = proto.Marshal(likeAClient(c.request)); err != nil {
			tb.Fatal(err)
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b bench) int { return int(a.reason) - int(b.reason) })
	return all
}

// likeAClient turns a request into what Envoy sends of a browser's, with
// encode_raw_headers.
func likeAClient(check *authv3.CheckRequest) *authv3.CheckRequest {
	http := check.GetAttributes().GetRequest().GetHttp()
	headers := []string{
		"host: " + http.GetHost(), "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36", "accept: */*",
		"accept-encoding: gzip, deflate, br", "accept-language: en-GB,en;q=0.9", "content-type: application/json", "content-length: 1024",
		"x-forwarded-proto: https", "x-forwarded-for: 192.0.2.2", "cookie: session=" + filler, "sec-fetch-mode: cors",
	}
	for name, value := range http.GetHeaders() {
		if name[0] != ':' {
			headers = append(headers, name+": "+value)
		}
	}
	slices.Sort(headers)
	full := envoy(raw, http.GetMethod(), http.GetPath(), headers...)
	a, now := full.GetAttributes(), captureAttributes()
	a.Source, a.Destination, a.Request.Time = now.GetSource(), now.GetDestination(), now.GetRequest().GetTime()
	a.Request.Http.Id, a.Request.Http.Protocol, a.Request.Http.Scheme = "1234567890", "HTTP/1.1", "https"
	return full
}

// captureAttributes are what a real Envoy says beside the request.
func captureAttributes() *authv3.AttributeContext {
	check := &authv3.CheckRequest{}
	if err := proto.Unmarshal(firstCapture, check); err != nil {
		panic(err)
	}
	return check.GetAttributes()
}

// processor starts to measure the processor's time, which says more than the
// clock's on a machine that others use as well. What it returns ends it.
func processor(b *testing.B) func() {
	b.Helper()
	b.ReportAllocs()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benches(b) {
		if c.reason != policy.Allowed {
			continue
		}
		var r Request
		b.SetBytes(int64(len(c.message)))
		defer processor(b)()
		for b.Loop() {
			r.reset()
			if err := r.decode(c.message); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkProto is what the generated types take for the same.
func BenchmarkProto(b *testing.B) {
	for _, c := range benches(b) {
		if c.reason != policy.Allowed {
			continue
		}
		b.SetBytes(int64(len(c.message)))
		defer processor(b)()
		for b.Loop() {
			if err := proto.Unmarshal(c.message, &authv3.CheckRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkDecide decides what was decoded.
func BenchmarkDecide(b *testing.B) {
	for _, c := range benches(b) {
		b.Run(c.reason.String(), func(b *testing.B) {
			x := newExchange()
			if err := x.request.decode(c.message); err != nil {
				b.Fatal(err)
			}
			defer processor(b)()
			for b.Loop() {
				x.request.room = x.request.room[:0]
				x.decision.reset()
				x.decision.view, x.decision.request, x.decision.now = c.server.source(), &x.request, noon
				x.decision.decide()
			}
		})
	}
}

// BenchmarkEncode answers what was decided.
func BenchmarkEncode(b *testing.B) {
	for _, c := range benches(b) {
		b.Run(c.reason.String(), func(b *testing.B) {
			x := newExchange()
			if err := x.request.decode(c.message); err != nil {
				b.Fatal(err)
			}
			x.decision.view, x.decision.request, x.decision.now = c.server.source(), &x.request, noon
			x.decision.decide()
			defer processor(b)()
			for b.Loop() {
				x.request.room, x.request.id = x.request.room[:0], ""
				respond(&x.answer, &x.decision.Verdict, &x.request)
				x.out = x.answer.append(x.out[:0])
			}
			b.SetBytes(int64(len(x.out)))
		})
	}
}

// BenchmarkCheck takes bytes and gives bytes.
func BenchmarkCheck(b *testing.B) {
	for _, c := range benches(b) {
		b.Run(c.reason.String(), func(b *testing.B) {
			defer processor(b)()
			for b.Loop() {
				if err := c.once(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// once is one whole check.
func (c bench) once() error {
	x := newExchange()
	defer x.release()
	x.message = append(x.message, c.message...)
	return c.server.check(context.Background(), x)
}
