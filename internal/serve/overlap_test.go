package serve

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Of many that want a socket at once, whose last owner was killed, one gets it and the others hear of it.
func TestOneOfManyGetsAStaleSocket(t *testing.T) {
	for range 20 {
		a := socketAt(t, shortDir(t))
		dead, err := a.Listen(0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := dead.sockets.open[0].Close(); err != nil { // as after kill -9: the file stays
			t.Fatal(err)
		}
		var got atomic.Pointer[Listener]
		var won atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if l, err := a.Listen(0o600); err == nil {
					won.Add(1)
					got.Store(l)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d processes listen at one socket", won.Load())
		}
		conn, err := a.Dial(context.Background())
		if err != nil {
			t.Fatalf("nobody answers: %v", err)
		}
		_ = conn.Close()
		if err := got.Load().Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// One that leaves while others come never takes the socket of the next one along.
func TestSocketIsHandedOver(t *testing.T) {
	a := socketAt(t, shortDir(t))
	l := mustListen(t, a, 0o600)
	for range 50 {
		next := make(chan *Listener)
		go func(old *Listener) {
			for {
				if l, err := a.Listen(0o600); err == nil {
					next <- l
					return
				}
			}
		}(l)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = <-next
		conn, err := a.Dial(context.Background())
		if err != nil {
			t.Fatalf("the socket of a process that listens is gone: %v", err)
		}
		_ = conn.Close()
	}
	if entries, err := os.ReadDir(filepath.Dir(a.target)); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v; want the socket alone", entries, err)
	}
}
