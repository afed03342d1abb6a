package authz

import (
	"sort"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/policy"
)

// reference reads a request and writes its answer with the generated types and
// the plainest Go: what the wire is read and written by must agree with it.
type reference struct {
	check *authv3.CheckRequest
	id    string // of the request, where one was made up
}

func (f reference) http() *authv3.AttributeContext_HttpRequest {
	return f.check.GetAttributes().GetRequest().GetHttp()
}

// header is what Request.header says.
func (f reference) header(name string) (value string, times int) {
	if v, ok := f.http().GetHeaders()[name]; ok {
		value, times = v, 1
	}
	for _, entry := range f.http().GetHeaderMap().GetHeaders() {
		if !strings.EqualFold(entry.GetKey(), name) {
			continue
		}
		v := string(entry.GetRawValue())
		if v == "" {
			v = entry.GetValue()
		}
		switch times++; times {
		case 1:
			value = v
		case 2:
			value += "," + v
		}
	}
	return value, times
}

// names are those of all headers, in lower case.
func (f reference) names() map[string]bool {
	names := map[string]bool{}
	for name := range f.http().GetHeaders() {
		names[strings.ToLower(name)] = true
	}
	for _, entry := range f.http().GetHeaderMap().GetHeaders() {
		names[strings.ToLower(entry.GetKey())] = true
	}
	return names
}

// path is what Request.line makes of the two renderings.
func (f reference) path() (path, query string, verbatim, torn bool) {
	whole, raw, times := f.http().GetPath(), "", 0
	for _, entry := range f.http().GetHeaderMap().GetHeaders() {
		if entry.GetKey() == ":path" && len(entry.GetRawValue()) > 0 {
			raw = string(entry.GetRawValue())
			times++
		}
	}
	if times > 0 {
		torn = times > 1 || !renders(whole, raw)
		verbatim = true
		whole = raw
	}
	path, query, _ = strings.Cut(whole, "?")
	return path, query, verbatim, torn
}

// request is the request that a decision reads.
func (f reference) request() *Request {
	r := &Request{method: f.http().GetMethod(), host: f.http().GetHost(), extensions: f.check.GetAttributes().GetContextExtensions()}
	path, query, verbatim, torn := f.path()
	r.path, r.query, r.verbatim, r.torn = path, query, policy.Verbatim(verbatim), torn
	for name, value := range f.http().GetHeaders() {
		r.headers.mapped = append(r.headers.mapped, header{name: name, value: value})
	}
	for _, entry := range f.http().GetHeaderMap().GetHeaders() {
		value := string(entry.GetRawValue())
		if value == "" {
			value = entry.GetValue()
		}
		r.headers.listed = append(r.headers.listed, header{name: entry.GetKey(), value: value})
	}
	r.headers.traits = ^uint64(0) // nothing is passed over
	return r
}

func (f reference) facts(v *Verdict) map[string]string {
	known := map[string]string{}
	put := func(name, value string) {
		if value != "" {
			known[name] = value
		}
	}
	if v.Place.Policy != nil {
		put("policy", v.Place.Policy.Name())
	}
	if e := v.Endpoint(); e != nil {
		put("endpoint", e.Name)
	}
	if v.Key == nil {
		return known
	}
	put("key-id", v.Key.ID.String())
	put("type", v.Key.Type)
	put("environment", v.Key.Environment)
	put("principal", v.Key.Principal)
	put("role", v.Key.Role)
	put("tenant", v.Tenant)
	put("tenants", strings.Join(v.Tenants, ","))
	put("scopes", strings.Join(v.Place.Policy.ScopeNames(v.Held.Scopes), " "))
	return known
}

func (f reference) upstream(v *Verdict, known map[string]string) (set []policy.Header, remove []string) {
	if v.Key == nil {
		known = nil
	}
	gone := map[string]bool{}
	for _, name := range factNames {
		if value, ok := known[name]; ok {
			set = append(set, policy.Header{Name: "x-latchkey-" + name, Value: value})
		} else {
			gone["x-latchkey-"+name] = true
		}
	}
	for _, place := range v.Place.Policy.TenantPlaces() {
		if place.In != policy.InHeader {
			continue
		}
		if v.Tenant != "" && directory.Kind(v.Tenant) == place.Kind {
			set = append(set, policy.Header{Name: place.Name, Value: directory.Name(v.Tenant)})
		} else {
			gone[place.Name] = true
		}
	}
	for _, place := range v.Place.Policy.Credentials() {
		value, times := f.header(place.Header)
		_, outcome := read(place, value, times)
		if !place.Bearer || outcome != policy.KeyMissing || times != 1 || value == "" || strings.Contains(value, ",") {
			gone[place.Header] = true
		}
	}
	for name := range f.names() {
		ours := strings.HasPrefix(strings.ReplaceAll(name, "_", "-"), "x-latchkey-")
		if ours && known[strings.TrimPrefix(name, "x-latchkey-")] == "" {
			gone[name] = true
		}
	}
	for name := range gone {
		remove = append(remove, name)
	}
	sort.Strings(remove)
	return set, remove
}

// respond is what respond and answer.append say.
func (f reference) respond(v *Verdict) *authv3.CheckResponse {
	known := f.facts(v)
	if v.Reason.Allows() {
		set, remove := f.upstream(v, known)
		safe := true
		for _, h := range set {
			safe = safe && !strings.ContainsFunc(h.Value, func(c rune) bool { return c < ' ' || c > '~' })
		}
		if safe {
			return &authv3.CheckResponse{
				Status:          &status.Status{Code: int32(codes.OK)},
				HttpResponse:    &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{Headers: f.options(set), HeadersToRemove: remove}},
				DynamicMetadata: f.metadata(v, known),
			}
		}
		*v = Verdict{Reason: policy.Undecided, Place: v.Place, Revision: v.Revision}
		known = f.facts(v)
	}
	return &authv3.CheckResponse{
		Status:          &status.Status{Code: int32(code(v.Reason))},
		HttpResponse:    &authv3.CheckResponse_DeniedResponse{DeniedResponse: f.refusal(v)},
		DynamicMetadata: f.metadata(v, known),
	}
}

func (f reference) refusal(v *Verdict) *authv3.DeniedHttpResponse {
	reply := policy.DefaultReply(v.Reason)
	told := policy.Facts{RequestID: f.id}
	if id, times := f.header("x-request-id"); times == 1 && validRequestID(id) {
		told.RequestID = id
	}
	if p := v.Place.Policy; p != nil {
		reply = p.Reply(v.Reason)
		if v.Key != nil {
			if e := p.Environment(v.Key.Environment); e != nil {
				told.KeyEnvironment = e.Name
			}
		}
		if e := p.Environment(v.Place.Environment); e != nil {
			told.RequestEnvironment = e.Title
		}
	}
	headers := []policy.Header{{Name: "content-type", Value: reply.ContentType}, {Name: "cache-control", Value: "no-store"}}
	if reply.Status == 401 {
		challenge := `Bearer realm="` + v.Place.Policy.Name() + `"`
		if v.Reason != policy.KeyMissing {
			challenge += `, error="invalid_token"`
		}
		headers = append(headers, policy.Header{Name: "www-authenticate", Value: challenge})
	}
	if v.Reason.Status() == 503 {
		headers = append(headers, policy.Header{Name: "retry-after", Value: strconv.Itoa(retryAfter)})
	}
	return &authv3.DeniedHttpResponse{
		Status:  &typev3.HttpStatus{Code: typev3.StatusCode(reply.Status)},
		Headers: f.options(append(headers, reply.Headers(told)...)),
		Body:    reply.Body(told),
	}
}

func (f reference) options(headers []policy.Header) []*corev3.HeaderValueOption {
	out := make([]*corev3.HeaderValueOption, len(headers))
	for i, h := range headers {
		out[i] = &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: h.Name, Value: h.Value}}
	}
	return out
}

func (f reference) metadata(v *Verdict, known map[string]string) *structpb.Struct {
	fields := map[string]*structpb.Value{
		"reason":   structpb.NewStringValue(v.Reason.String()),
		"revision": structpb.NewNumberValue(float64(v.Revision)),
	}
	if v.Plan != "" {
		fields["plan"] = structpb.NewStringValue(v.Plan)
	}
	for name, value := range known {
		fields[strings.ReplaceAll(name, "-", "_")] = structpb.NewStringValue(value)
	}
	return &structpb.Struct{Fields: fields}
}
