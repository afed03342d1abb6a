package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
)

// overSocket is a client of HTTP for a Unix socket.
func overSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
}

// read makes a request and returns the body of an answer with status 200.
func read(by *http.Client, q *http.Request) (_ []byte, err error) {
	a, err := by.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Body.Close()) }()
	body, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %.500s", q.URL.Path, a.Status, body)
	}
	return body, err
}

// caller calls the admin API, by the Connect protocol.
type caller struct{ by *http.Client }

func newCaller(path string) *caller { return &caller{overSocket(path)} }

func (c *caller) call(ctx context.Context, method string, question, answer proto.Message) error {
	b, err := proto.Marshal(question)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://latchkey/latchkey.admin.v1."+method, bytes.NewReader(b))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/proto")
	q.Header.Set("Connect-Protocol-Version", "1")
	if b, err = read(c.by, q); err != nil {
		return err
	}
	return proto.Unmarshal(b, answer)
}

// debugPort is the --http listener of one of our processes, on a Unix socket.
type debugPort struct {
	path string
	by   *http.Client
}

func newDebugPort(path string) *debugPort { return &debugPort{path, overSocket(path)} }

func (d *debugPort) get(ctx context.Context, path string) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://latchkey"+path, nil)
	if err != nil {
		return nil, err
	}
	return read(d.by, q)
}

// collect has the process collect its garbage: twice, since what has a finalizer outlives the first time.
func (d *debugPort) collect(ctx context.Context) error {
	for range 2 {
		if _, err := d.get(ctx, "/debug/pprof/heap?gc=1"); err != nil {
			return err
		}
	}
	return nil
}

// metrics returns the values of metrics without labels.
func (d *debugPort) metrics(ctx context.Context, names ...string) ([]float64, error) {
	text, err := d.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(names))
	for i, name := range names {
		_, rest, found := strings.Cut("\n"+string(text), "\n"+name+" ")
		value, _, _ := strings.Cut(rest, "\n")
		if values[i], err = strconv.ParseFloat(value, 64); err != nil || !found {
			return nil, fmt.Errorf("the process has no metric %s", name)
		}
	}
	return values, nil
}

// serving returns why the process doesn't serve yet, by gRPC health.
func (d *debugPort) serving(ctx context.Context) (err error) {
	c, err := grpc.NewClient("unix:"+d.path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	answer, err := grpc_health_v1.NewHealthClient(c).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return errors.New("it says that it doesn't serve yet")
	}
	return nil
}
