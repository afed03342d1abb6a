package authz

import (
	"testing"

	"google.golang.org/protobuf/proto"
)

// seedWire adds what real Envoys sent, a request for every reason, and messages
// that are made to be misread.
func seedWire(f *testing.F) {
	for _, c := range captures(f) {
		f.Add(c.bytes)
	}
	newWorld(f)
	for _, c := range reasonCases() {
		seed, err := proto.Marshal(c.request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	for _, c := range nastyMessages() {
		if len(c.message) <= 4<<10 { // what is long is no better to mutate
			f.Add(c.message)
		}
	}
}

// FuzzDecodeAgainstProto: a message is malformed where proto.Unmarshal says
// so, and otherwise it says the same to both.
func FuzzDecodeAgainstProto(f *testing.F) {
	seedWire(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		if _, _, err := decodeBoth(message); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzCheckBytes: a message is answered, to the byte, as it is by way of the
// generated types.
func FuzzCheckBytes(f *testing.F) {
	s := fixture(f, newWorld(f, compile(f, capturedPolicy), compile(f, repliesPolicy)))
	seedWire(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		if err := checkBoth(s, noon, message); err != nil {
			t.Fatal(err)
		}
	})
}
