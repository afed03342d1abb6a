package replica

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// frame is a message that is encoded already. The same bytes go to all who follow.
type frame []mem.Buffer

// codec sends frames as they are, and leaves all else to gRPC's own codec.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	if f, ok := message.(frame); ok {
		return mem.BufferSlice(f), nil
	}
	return c.CodecV2.Marshal(message)
}
