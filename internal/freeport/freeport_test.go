package freeport_test

import (
	"net"
	"testing"

	"github.com/latchkey/latchkey/internal/freeport"
)

func TestAddress(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		address, err := freeport.Address()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if seen[address] {
			t.Errorf("%s twice, while somebody listens there", address)
		}
		seen[address] = true
	}
}
