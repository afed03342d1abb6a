// Package link says who a process is to others over TCP, and whom it believes.
//
// A Source is made with Open and kept up to date by Run. Both ends of a link
// have certificates: ServerTLS and ClientTLS make a configuration for either
// end, which asks the Source anew at each handshake. Identities are whom an end
// talks to, and an AllowList those of now; an empty one is nobody.
package link

import (
	"context"
	"crypto/tls"
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
	now  atomic.Pointer[material]

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
	if err := Check(config); err != nil {
		return nil, err
	}
	s := &Source{log: log, reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "latchkey_certificate_reloads_total",
		Help: "Times that the certificate or the CAs of links changed, by result: success or failure.",
	}, []string{"result"})}
	s.expiry = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "latchkey_certificate_expiry_timestamp_seconds",
		Help: "When the certificate of links expires.",
	}, func() float64 { return float64(s.now.Load().leaf().NotAfter.Unix()) })
	for _, result := range []string{"success", "failure"} {
		s.reloads.WithLabelValues(result)
	}
	if config.GetWorkloadApi() != "" {
		s.from = &workload{address: config.GetWorkloadApi(), log: log}
	} else {
		s.from = &files{certificate: config.GetCertificate(), key: config.GetKey(), ca: config.GetCa(), log: log, calls: &disk.Calls{Patience: disk.StartPatience}}
	}
	m, err := s.from.read(ctx)
	if err != nil {
		return nil, err
	}
	s.use(m)
	return s, nil
}

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
	if m.equal(s.now.Load()) {
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
	s.log.Error("the certificate or the CAs can't be used: those in use stay in use", "error", err,
		"expires", s.now.Load().leaf().NotAfter.UTC().Format(time.RFC3339))
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
	var all []string
	if s.problem != "" {
		all = append(all, "the certificate or the CAs of links can't be used, and those in use stay so: "+s.problem)
	}
	if end := s.now.Load().leaf().NotAfter; time.Now().After(end) {
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

// certificate is for handshakes.
func (s *Source) certificate() *tls.Certificate { return &s.now.Load().certificate }
