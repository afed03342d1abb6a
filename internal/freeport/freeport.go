// Package freeport finds addresses for processes that don't listen yet.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Below the ports that kernels give to who asks for any: such a one would be somebody else's now and then by the time
// that a process listens there.
const first, end = 12_000, 32_000

// Address returns an address on loopback at which nobody listens.
func Address() (string, error) {
	var problems []error
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(end-first))))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
		problems = append(problems, err)
	}
	return "", errors.Join(problems...)
}
