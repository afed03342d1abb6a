package deploy_test

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// app is the application of a pod: it listens where only the pod reaches it, and answers all that comes.
type app struct {
	server *http.Server
	served chan struct{}

	mu   sync.Mutex
	seen []*http.Request
	// held is where requests for /v1/notes/held wait, having told that they are there.
	arrived, held chan struct{}
}

func newApp(t *testing.T, pod *runningPod) *app {
	t.Helper()
	l, err := pod.host.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{served: make(chan struct{}), arrived: make(chan struct{}, 1), held: make(chan struct{})}
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(a.served)
		_ = a.server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = a.server.Close()
		<-a.served
	})
	return a
}

// ServeHTTP answers 200.
func (a *app) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.seen = append(a.seen, r)
	a.mu.Unlock()
	if r.URL.Path == "/v1/notes/held" {
		a.arrived <- struct{}{}
		<-a.held
	}
}

// take returns the requests that came since it was last called.
func (a *app) take() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	a.seen = nil
	return seen
}
