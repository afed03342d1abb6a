// Package envoytest runs a real Envoy in front of a recording upstream.
//
// Tests use it to see decisions the way clients and upstreams see them, and
// `latchkey demo` uses it to show them. It has four parts, each usable alone:
//
//   - Bootstrap writes Envoy's configuration for a [Config]: one listener per
//     profile, the ext_authz filter, its cluster on a Unix socket, the upstreams;
//   - [Find] and [Start] find an Envoy binary and run it on ports that the kernel
//     chooses, so that any number of instances run side by side;
//   - [StartUpstream] is an HTTP/1 and a gRPC server that keep what reached them,
//     byte for byte, under the name that the client gave in the x-case header;
//   - [H1], [H2], [GRPC], [GRPCWeb] and [WebSocket] send what they are told to,
//     however malformed, and tell an answer from a reset and a closed connection.
//
// Nothing here knows about keys or policies: the authorization server is whatever
// listens on Config.AuthzSocket.
package envoytest
