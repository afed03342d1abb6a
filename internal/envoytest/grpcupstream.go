package envoytest

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

// echoPrefix marks the request's metadata in the gRPC upstream's headers and trailers.
const echoPrefix = "echo-"

func (u *Upstream) newGRPCServer() *grpc.Server {
	return grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return u.echoStream(stream) }),
	)
}

// echoStream sends every message back. The call is recorded when its last message has
// been read and before the answer ends.
func (u *Upstream) echoStream(stream grpc.ServerStream) error {
	path, _ := grpc.MethodFromServerStream(stream)
	rec := Record{Protocol: "gRPC", Method: "POST", Path: path}
	md, _ := metadata.FromIncomingContext(stream.Context())
	back := metadata.MD{}
	for _, name := range slices.Sorted(maps.Keys(md)) {
		for _, value := range md[name] {
			rec.Header = append(rec.Header, Field{name, value})
		}
		if !strings.HasPrefix(name, ":") {
			back[echoPrefix+name] = md[name]
		}
	}
	rec.Host, _ = rec.Get(":authority")
	if err := stream.SendHeader(back); err != nil {
		return err
	}
	defer func() { u.records.add(rec) }()
	for {
		var msg []byte
		if err := stream.RecvMsg(&msg); err != nil {
			stream.SetTrailer(back)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		rec.keepBody(msg)
		if err := stream.SendMsg(&msg); err != nil {
			return err
		}
	}
}

// rawCodec passes messages through as *[]byte, whatever their schema.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
