package serve

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// NewHTTP returns an HTTP server with limits, for HTTP/1 and HTTP/2, each in
// cleartext unless it gets a TLSConfig. What its peers bring about, such as a
// handshake that fails, is told seldom.
func NewHTTP(handler http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 250},
		ErrorLog:          slog.NewLogLogger(Seldom(log).Handler(), slog.LevelWarn),
	}
}

// RunHTTP serves on the listener until the context ends, and then until no
// request is left or the time to drain is over. One with a TLSConfig serves that
// and nothing else, and has no more connections at a time than Envoy may: others
// wait, and whoever doesn't come to the end of a handshake is soon cut off.
func RunHTTP(ctx context.Context, s *http.Server, l net.Listener) error {
	served := make(chan error, 1)
	go func() {
		if s.TLSConfig == nil {
			served <- s.Serve(l)
			return
		}
		served <- s.ServeTLS(netutil.LimitListener(l, maxConnections), "", "")
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := s.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close() // whoever is still there was given time enough
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// Debug is what operators and the kubelet ask, on one port: metrics and
// profiles over HTTP, and health over gRPC.
type Debug struct {
	mux  *http.ServeMux
	grpc *GRPC
	log  *slog.Logger
}

// NewDebug returns the handler of the metrics of a registry, profiles and health.
func NewDebug(registry *prometheus.Registry, h *Health, log *slog.Logger) *Debug {
	d := &Debug{mux: http.NewServeMux(), grpc: newGRPC(), log: log}
	h.registerOutside(d.grpc)
	d.mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry: registry, EnableOpenMetrics: true, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}))
	d.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	d.mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	d.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	d.mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	d.mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	d.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return d
}

// Status has the path /status answered with what a process says of itself, as JSON: with 200 while it is ready, and else
// with 503. It is for a process that has no admin API.
func (d *Debug) Status(status func() (document any, ready bool)) {
	d.mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		document, ready := status()
		text, err := json.MarshalIndent(document, "", "  ")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write(append(text, '\n')) // who asked has gone
	})
}

// ServeHTTP answers gRPC by the health service and all else by the mux.
func (d *Debug) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		d.grpc.ServeHTTP(w, r)
		return
	}
	d.mux.ServeHTTP(w, r)
}

// Run serves on the listener until the context ends.
func (d *Debug) Run(ctx context.Context, l net.Listener) error {
	s := NewHTTP(d, d.log)
	s.RegisterOnShutdown(d.grpc.drain)
	defer d.grpc.Stop()
	return RunHTTP(ctx, s, l)
}
