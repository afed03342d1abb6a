package authz

import (
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

// Marshal hands over the answer. The exchange is released when gRPC has
// written it.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	x, ok := v.(*exchange)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	return mem.BufferSlice{mem.NewBuffer(&x.out, (*lease)(x))}, nil
}

// lease is an exchange as gRPC sees it: memory that is to be given back.
type lease exchange

// Put is called once, when the last reference to the answer is gone.
func (l *lease) Put(*[]byte) { (*exchange)(l).release() }

// Get isn't called: a lease lends the one buffer that it has.
func (*lease) Get(length int) *[]byte {
	b := make([]byte, length)
	return &b
}
