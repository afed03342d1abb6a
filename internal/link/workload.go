package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const (
	// workloadPatience is how long a start waits for the Workload API: an agent
	// may hear of a new workload some seconds after it began.
	workloadPatience = 30 * time.Second
	// workloadPause is how long it takes until an agent that ended a watch is
	// asked again.
	workloadPause = time.Second
)

// workload is what the SPIFFE Workload API gives to this process.
type workload struct {
	address string
	log     *slog.Logger
}

func (w *workload) client(ctx context.Context) (*workloadapi.Client, error) {
	address, err := workloadAddress(w.address)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(strings.TrimPrefix(address.String(), "unix:"))
	if err != nil {
		return nil, fmt.Errorf("tls.workload_api: %w", err)
	}
	at := url.URL{Scheme: "unix", Path: path}
	return workloadapi.New(ctx, workloadapi.WithAddr(at.String()))
}

func (w *workload) read(ctx context.Context) (*material, error) {
	ctx, cancel := context.WithTimeout(ctx, workloadPatience)
	defer cancel()
	var found *material
	why := errors.New("it gave no answer")
	err := w.follow(ctx,
		func(m *material) { found = m; cancel() },
		func(err error) {
			why = err
			w.log.Warn("waiting for the Workload API", "error", err)
		})
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, fmt.Errorf("tls.workload_api: %s gives this process no certificate: is the agent running, its socket there, and this workload registered? %w", w.address, why)
	}
	return found, nil
}

func (w *workload) follow(ctx context.Context, take func(*material), failed func(error)) error {
	client, err := w.client(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	watch := watch{w.address, take, func(err error) {
		if ctx.Err() == nil { // else it is the end
			failed(err)
		}
	}}
	// The library gives up a watch where the agent says that it was canceled, as
	// one does that stops, or that the question is wrong.
	for ctx.Err() == nil {
		_ = client.WatchX509Context(ctx, watch) // was told to watch
		select {
		case <-ctx.Done():
		case <-time.After(workloadPause):
		}
	}
	return nil
}

// watch hears from the Workload API.
type watch struct {
	address string
	take    func(*material)
	failed  func(error)
}

func (w watch) OnX509ContextUpdate(c *workloadapi.X509Context) {
	svid := c.DefaultSVID()
	m := &material{
		certificate: tls.Certificate{PrivateKey: svid.PrivateKey, Leaf: svid.Certificates[0]},
		roots:       x509.NewCertPool(),
		bundles:     c.Bundles,
	}
	for _, one := range svid.Certificates {
		m.certificate.Certificate = append(m.certificate.Certificate, one.Raw)
	}
	for _, bundle := range c.Bundles.Bundles() {
		for _, ca := range bundle.X509Authorities() {
			m.roots.AddCert(ca)
		}
	}
	if err := usable(m.leaf(), "tls.workload_api: "+w.address); err != nil {
		w.failed(err)
		return
	}
	w.take(m)
}

func (w watch) OnX509ContextWatchError(err error) {
	if err != nil {
		w.failed(fmt.Errorf("tls.workload_api: %s: %w", w.address, err))
	}
}
