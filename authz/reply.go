package authz

import (
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/latchkey/latchkey/policy"
)

// retryAfter is how long a client is asked to wait in an outage, in seconds.
const retryAfter = 1

// respond makes the answer to Envoy, and makes the verdict a refusal where it
// can't be told safely. Every CheckResponse comes from here, and each begins
// as a refusal: Envoy takes an empty one, and one whose parts contradict each
// other, for an allow.
func respond(v *Verdict, r *Request) *authv3.CheckResponse {
	response := &authv3.CheckResponse{Status: &status.Status{Code: int32(codes.Unavailable)}}
	facts := v.facts()
	if v.Reason.Allows() {
		if ok, safe := allowance(v, r, facts); safe {
			response.Status.Code = int32(codes.OK)
			response.HttpResponse = ok
			response.DynamicMetadata = metadata(v, facts)
			return response
		}
		// A value that could split a header came from the store or a policy:
		// nothing that is known of the caller can be trusted, or repeated. The
		// verdict is what was answered: counts and logs say the same.
		*v = Verdict{Reason: policy.Undecided, Place: v.Place, Revision: v.Revision}
		facts = v.facts()
	}
	response.Status.Code = int32(code(v.Reason))
	response.HttpResponse = refusal(v, r)
	response.DynamicMetadata = metadata(v, facts)
	return response
}

// refusal answers with the policy's reply to a reason that doesn't allow.
func refusal(v *Verdict, r *Request) *authv3.CheckResponse_DeniedResponse {
	reason := v.Reason
	reply := policy.DefaultReply(reason)
	facts := policy.Facts{RequestID: r.requestID()}
	if p := v.Place.Policy; p != nil {
		reply = p.Reply(reason)
		if v.Key != nil {
			// A record may be older than the policy: only a name of the policy's
			// own may stand in a header.
			if e := p.Environment(v.Key.Environment); e != nil {
				facts.KeyEnvironment = e.Name
			}
		}
		if e := p.Environment(v.Place.Environment); e != nil {
			facts.RequestEnvironment = e.Title
		}
	}
	headers := []policy.Header{{Name: "content-type", Value: reply.ContentType}, {Name: "cache-control", Value: "no-store"}}
	if reply.Status == 401 {
		headers = append(headers, policy.Header{Name: "www-authenticate", Value: challenge(v.Place.Policy, reason)})
	}
	if reason.Status() == 503 {
		headers = append(headers, policy.Header{Name: "retry-after", Value: strconv.Itoa(retryAfter)})
	}
	headers = append(headers, reply.Headers(facts)...)
	return &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
		// Envoy answers 403 where it isn't set, whatever the gRPC code.
		Status:  &typev3.HttpStatus{Code: typev3.StatusCode(reply.Status)},
		Headers: options(headers),
		Body:    reply.Body(facts),
	}}
}

// allowance says what the upstream is told. It isn't safe where a value holds
// anything but printable ASCII.
func allowance(v *Verdict, r *Request, facts map[string]string) (ok *authv3.CheckResponse_OkResponse, safe bool) {
	set, remove := v.upstream(r, facts)
	for _, h := range set {
		for i := range len(h.Value) {
			if h.Value[i] < ' ' || h.Value[i] > '~' {
				return nil, false
			}
		}
	}
	return &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
		Headers:         options(set),
		HeadersToRemove: remove,
	}}, true
}

// challenge is the WWW-Authenticate of a 401 (RFC 6750 section 3): no error
// code where no credential was presented.
func challenge(p *policy.Policy, r policy.Reason) string {
	c := `Bearer realm="` + p.Name() + `"`
	if r != policy.KeyMissing {
		c += `, error="invalid_token"`
	}
	return c
}

// code is the gRPC status of a refusal: never OK, which Envoy allows.
func code(r policy.Reason) codes.Code {
	switch r.Status() {
	case 401:
		return codes.Unauthenticated
	case 403:
		return codes.PermissionDenied
	}
	return codes.Unavailable
}

func options(headers []policy.Header) []*corev3.HeaderValueOption {
	out := make([]*corev3.HeaderValueOption, len(headers))
	for i, h := range headers {
		// Envoy's default for these is to overwrite every instance.
		out[i] = &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: h.Name, Value: h.Value}}
	}
	return out
}

// metadata is what Envoy's later filters and access logs may read, on
// refusals too, in the filter's own namespace.
func metadata(v *Verdict, facts map[string]string) *structpb.Struct {
	fields := map[string]*structpb.Value{
		"reason":   structpb.NewStringValue(v.Reason.String()),
		"revision": structpb.NewNumberValue(float64(v.Revision)),
	}
	if v.Plan != "" {
		fields["plan"] = structpb.NewStringValue(v.Plan)
	}
	for name, value := range facts {
		fields[metadataName(name)] = structpb.NewStringValue(value)
	}
	return &structpb.Struct{Fields: fields}
}

func metadataName(fact string) string {
	b := []byte(fact)
	for i := range b {
		if b[i] == '-' {
			b[i] = '_'
		}
	}
	return string(b)
}

// consistent reports whether a response says one thing, and so that Envoy
// takes it for that: OK with an ok_response, or a code that isn't OK with a
// denied_response that is no success.
func consistent(c *authv3.CheckResponse) bool {
	switch {
	case c.GetStatus() == nil:
		return false
	case c.GetStatus().GetCode() == int32(codes.OK):
		return c.GetOkResponse() != nil
	}
	return c.GetDeniedResponse().GetStatus().GetCode() >= 400
}
