// Package link says who a process is to others over TCP, and whom it believes.
//
// A Source is made with Open, or with New by who can do without for a while,
// and kept up to date by Run. Both ends of a link
// have certificates: ServerTLS and ClientTLS make a configuration for either
// end, which asks the Source anew at each handshake. Identities are whom an end
// talks to, and an AllowList those of now; an empty one is nobody.
package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/disk"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// Source is the certificate of a process and the CAs that it believes, as they
// are now. It is safe for concurrent use.
type Source struct {
	from origin
	log  *slog.Logger
	now  atomic.Pointer[material] // nil: there is none yet

	reloads *prometheus.CounterVec
	expiry  prometheus.GaugeFunc

	mu      sync.Mutex
	problem string // that was told last; empty for none
}

// origin is where a certificate and CAs come from.
type origin interface {
	// read returns what is there now, or why it can't be used.
	read(ctx context.Context) (*material, error)
	// follow calls take with what is there, at first and after each change, and
	// failed with why it can't be used, until the context ends. It may say the
	// same thing many times.
	follow(ctx context.Context, take func(*material), failed func(error)) error
}

// Open reads the certificate and the CAs that a configuration names. What can't
// be used is an error that names the field or the file. Changes are followed
// once Run is called.
func Open(ctx context.Context, config *configv1.TLS, log *slog.Logger) (*Source, error) {
	s, err := New(config, log)
	if err != nil {
		return nil, err
	}
	return s, s.Read(ctx)
}

// New returns a source that has no certificate until Read or Run has found one
// that can be used. Handshakes of its clients fail until then; a server needs one
// before ServerTLS is called.
func New(config *configv1.TLS, log *slog.Logger) (*Source, error) {
	if err := Check(config); err != nil {
		return nil, err
	}
	s := &Source{log: log, reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "latchkey_certificate_reloads_total",
		Help: "Times that the certificate or the CAs of links changed, by result: success or failure.",
	}, []string{"result"})}
	s.expiry = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "latchkey_certificate_expiry_timestamp_seconds",
		Help: "When the certificate of links expires; 0 while there is none that can be used.",
	}, func() float64 {
		if m := s.now.Load(); m != nil {
			return float64(m.leaf().NotAfter.Unix())
		}
		return 0
	})
	for _, result := range []string{"success", "failure"} {
		s.reloads.WithLabelValues(result)
	}
	if config.GetWorkloadApi() != "" {
		s.from = &workload{address: config.GetWorkloadApi(), log: log}
	} else {
		s.from = &files{certificate: config.GetCertificate(), key: config.GetKey(), ca: config.GetCa(), log: log, calls: &disk.Calls{Patience: disk.StartPatience}}
	}
	return s, nil
}

// Read reads what is there now, before Run is called, and puts it in use. What
// can't be used is an error that names the field or the file.
func (s *Source) Read(ctx context.Context) error {
	m, err := s.from.read(ctx)
	if err != nil {
		return err
	}
	s.use(m)
	return nil
}

// Without tells that the process goes on without a certificate, since what is
// there can't be used.
func (s *Source) Without(err error) { s.failed(err) }

// Run follows changes until the context ends. What is new is used from the next
// handshake on; connections that are open go on. What can't be used is told in
// the log once, and leaves in use what is.
func (s *Source) Run(ctx context.Context) error {
	return s.from.follow(ctx, s.take, s.failed)
}

// Collectors returns the metrics of the certificate.
func (s *Source) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.reloads, s.expiry}
}

// Names returns the DNS names and IP addresses that the certificate has now.
func (s *Source) Names() []string { return namesOf(s.now.Load().leaf()) }

func (s *Source) take(m *material) {
	recovered := s.tell("")
	if now := s.now.Load(); now != nil && m.equal(now) {
		if recovered {
			s.log.Info("the certificate and the CAs can be used again: they are those in use")
		}
		return
	}
	s.reloads.WithLabelValues("success").Inc()
	s.use(m)
}

func (s *Source) failed(err error) {
	if !s.tell(err.Error()) {
		return
	}
	s.reloads.WithLabelValues("failure").Inc()
	now := s.now.Load()
	if now == nil {
		s.log.Error("the certificate or the CAs can't be used, and there are no others: no link is made until they can", "error", err)
		return
	}
	s.log.Error("the certificate or the CAs can't be used: those in use stay in use", "error", err,
		"expires", now.leaf().NotAfter.UTC().Format(time.RFC3339))
}

// tell notes what is wrong, and reports whether that is something else than before.
func (s *Source) tell(problem string) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = s.problem != problem
	s.problem = problem
	return changed
}

// Problems returns what is wrong with the certificate, for people.
func (s *Source) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now.Load()
	if now == nil {
		return []string{"no link is made, since the certificate or the CAs of links can't be used: " + s.problem}
	}
	var all []string
	if s.problem != "" {
		all = append(all, "the certificate or the CAs of links can't be used, and those in use stay so: "+s.problem)
	}
	if end := now.leaf().NotAfter; time.Now().After(end) {
		all = append(all, fmt.Sprintf("the certificate of links has expired at %s, and nobody accepts it: put another in its place", end.UTC().Format(time.RFC3339)))
	}
	return all
}

// use puts a certificate and CAs in use.
func (s *Source) use(m *material) {
	s.now.Store(m)
	leaf := m.leaf()
	identity, ok := IdentityOf(leaf)
	if !ok {
		s.log.Warn("the certificate of links has no identity, and nobody will know it by one: issue it with one SPIFFE id, or with DNS names")
	}
	s.log.Info("the certificate of links is in use", "identity", identity.String(), "expires", leaf.NotAfter.UTC().Format(time.RFC3339),
		"serial", leaf.SerialNumber.Text(16))
}

// errNone is why a handshake fails of a source that has no certificate.
var errNone = errors.New("this process has no certificate that can be used: its log says why")

// current is for handshakes.
func (s *Source) current() (*material, error) {
	if m := s.now.Load(); m != nil {
		return m, nil
	}
	return nil, errNone
}
