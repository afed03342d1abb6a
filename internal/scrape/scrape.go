// Package scrape reads the metrics of a serving process as Prometheus does, and
// works out of two readings what happened between them.
package scrape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/latchkey/latchkey/internal/serve"
)

// maxAnswer is the largest answer that is read, in bytes: metrics of thousands
// of policies.
const maxAnswer = 64 << 20

// protobuf has native histograms, which text hasn't.
const accepted = `application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,text/plain;version=0.0.4;q=0.5`

// Process is a process that is asked for its metrics. It is safe for concurrent
// use.
type Process struct {
	address serve.Address
	client  *http.Client
}

// New returns the process whose --http is this address. Nothing is dialled yet.
func New(address serve.Address) *Process {
	return &Process{address, &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return address.Dial(ctx) },
	}}}
}

// Read asks for the metrics of now. The error says what to do where nobody
// answers, or somebody else.
func (p *Process) Read(ctx context.Context) (*Reading, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://latchkey/metrics", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accepted)
	answer, err := p.client.Do(r)
	switch {
	case serve.NobodyListens(err):
		return nil, errors.New("nobody answers: name the --http address of a process")
	case errors.Is(err, context.DeadlineExceeded):
		return nil, errors.New("no answer in time")
	case err != nil:
		var inner interface{ Unwrap() error } // without the method and the URL, which say nothing
		if errors.As(err, &inner) {
			err = inner.Unwrap()
		}
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s: name the --http address of a process", answer.Status)
	}
	reading := &Reading{At: time.Now(), values: map[string]float64{}}
	decoder := expfmt.NewDecoder(io.LimitReader(answer.Body, maxAnswer), expfmt.ResponseFormat(answer.Header))
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("its metrics can't be read: %w", err)
		}
		reading.add(&f)
	}
	if !reading.latchkey {
		return nil, errors.New("what answers is no Latchkey: name the --http address of a process")
	}
	return reading, nil
}
