package e2e

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// steady asks an Envoy at a fixed rate, as many clients at once as that takes; on a machine that can't, at the rate that
// it can.
type steady struct {
	address string
	rate    int // a second
	// ask returns the request of a number, in HTTP/1.1, and noted what came of it.
	ask   func(n int) []byte
	noted func(n int, status int, header http.Header, body []byte, err error)

	sent  atomic.Int64
	began time.Time
	took  time.Duration
}

// clients is how many requests may be under way at once.
const clients = 48

// start begins, and returns what ends it and waits for the last answer.
func (s *steady) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	due := make(chan int)
	var all sync.WaitGroup
	s.began = time.Now()
	all.Go(func() {
		defer close(due)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for n := 0; ; {
			for until := int(time.Since(s.began).Seconds() * float64(s.rate)); n < until; n++ {
				select {
				case due <- n:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	for range clients {
		all.Go(func() { s.client(due) })
	}
	return func() {
		cancel()
		all.Wait()
		s.took = time.Since(s.began)
	}
}

// reached is how many requests a second there were.
func (s *steady) reached() float64 { return float64(s.sent.Load()) / s.took.Seconds() }

func (s *steady) client(due <-chan int) {
	var conn net.Conn
	var in *bufio.Reader
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	for n := range due {
		s.sent.Add(1)
		status, header, body, err := 0, http.Header(nil), []byte(nil), error(nil)
		if conn == nil {
			if conn, err = net.Dial("tcp", s.address); err == nil {
				in = bufio.NewReader(conn)
			}
		}
		if err == nil {
			status, header, body, err = exchange(conn, in, s.ask(n))
		}
		if err != nil && conn != nil {
			_ = conn.Close()
			conn = nil
		}
		s.noted(n, status, header, body, err)
	}
}

// exchange sends a request and reads its answer.
func exchange(conn net.Conn, in *bufio.Reader, request []byte) (int, http.Header, []byte, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, nil, err
	}
	if _, err := conn.Write(request); err != nil {
		return 0, nil, nil, err
	}
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, body, err
}
