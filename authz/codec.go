package authz

import (
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// ServerOption makes a gRPC server read and write checks without the generated
// types. A server that Register is called with needs it; other services on it
// are served as ever.
func ServerOption() grpc.ServerOption {
	return grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(proto.Name)})
}

// codec reads and writes exchanges, and leaves everything else to the codec of
// protobuf's generated types.
type codec struct{ encoding.CodecV2 }

// Unmarshal copies the message, which is gRPC's own and gone when this
// returns. The check reads the copy, where a panic is recovered.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	x, ok := v.(*exchange)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	for _, piece := range data {
		x.message = append(x.message, piece.ReadOnlyData()...)
	}
	return nil
}

// Marshal hands over the answer and releases the exchange: peers that don't
// read their answers must not hold their requests in memory too.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	x, ok := v.(*exchange)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	w := written.Get().(*writing)
	w.out, x.out = x.out, w.out
	x.release()
	return mem.BufferSlice{mem.NewBuffer(&w.out, w)}, nil
}

// writing is an answer that gRPC writes: memory that it gives back.
type writing struct{ out []byte }

var written = sync.Pool{New: func() any { return &writing{out: make([]byte, 0, leastOut)} }}

// Put is called once, when the last reference to the answer is gone.
func (w *writing) Put(*[]byte) {
	if cap(w.out) <= mostKept {
		w.out = w.out[:0]
		written.Put(w)
	}
}

// Get isn't called: this lends the one buffer that it has.
func (*writing) Get(length int) *[]byte {
	b := make([]byte, length)
	return &b
}
