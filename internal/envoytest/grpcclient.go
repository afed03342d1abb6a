package envoytest

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// GRPCResponse is what a gRPC client got.
type GRPCResponse struct {
	Code    codes.Code
	Message string
	Header  metadata.MD
	Trailer metadata.MD
	Body    []byte // the message, undecoded; nil unless Code is OK
}

// GRPC makes one unary call of any method, such as /pkg.Service/Method, with grpc-go
// on a new connection. host is the :authority. A status other than OK is no error; an
// error means that the call could not be made or that time ran out (a minute unless ctx
// says), which grpc-go alone would report like an answer of the server.
func GRPC(ctx context.Context, addr, host, method string, fields []Field, msg []byte) (GRPCResponse, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
	}
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return GRPCResponse{}, fmt.Errorf("envoytest: %w", err)
	}
	first := make(chan net.Conn, 1)
	first <- raw
	conn, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority(host),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})),
		grpc.WithDisableRetry(),
		// One call, one connection: a second would hide that the first was ended.
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-first:
				return c, nil
			default:
				return nil, net.ErrClosed
			}
		}),
	)
	if err != nil {
		raw.Close()
		return GRPCResponse{}, fmt.Errorf("envoytest: %w", err)
	}
	defer conn.Close()

	for _, f := range fields {
		ctx = metadata.AppendToOutgoingContext(ctx, f.Name, f.Value)
	}
	var resp GRPCResponse
	err = conn.Invoke(ctx, method, &msg, &resp.Body, grpc.Header(&resp.Header), grpc.Trailer(&resp.Trailer))
	if ctx.Err() != nil {
		return resp, fmt.Errorf("envoytest: no whole response: %w", context.Cause(ctx))
	}
	st := status.Convert(err)
	resp.Code, resp.Message = st.Code(), st.Message()
	if resp.Code != codes.OK {
		resp.Body = nil
	}
	return resp, nil
}

// GRPCWeb sends one message the way a browser's gRPC-Web client does: HTTP/1, POST,
// application/grpc-web+proto. No filter translates it, so the answer is plain HTTP.
func GRPCWeb(ctx context.Context, addr, host, method string, fields []Field, msg []byte) (Response, error) {
	body := frameMessage(msg)
	all := append([]Field{
		{"host", host},
		{"content-type", "application/grpc-web+proto"},
		{"x-grpc-web", "1"},
		{"content-length", strconv.Itoa(len(body))},
	}, fields...)
	return H1(ctx, addr, Request("POST", method, all, body))
}

// frameMessage puts gRPC's five-byte prefix before a message: not compressed, length.
func frameMessage(msg []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(msg)))
	return append(out, msg...)
}
