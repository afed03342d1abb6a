package authz

import (
	"strconv"
	"unicode/utf8"

	"google.golang.org/grpc/codes"

	"github.com/latchkey/latchkey/policy"
)

// retryAfter is how long a client is asked to wait in an outage, in seconds.
const retryAfter = 1

// answer is what Envoy is told. Its text belongs to the check, like that of
// the Request.
type answer struct {
	code    codes.Code
	allows  bool
	status  int             // HTTP status of a refusal
	headers []policy.Header // for the upstream, or of the refusal
	remove  []string        // headers that the upstream doesn't get, sorted
	body    string          // of a refusal

	// What Envoy's later filters and access logs may read, on refusals too, in
	// the filter's own namespace.
	reason   policy.Reason
	revision uint64
	plan     string
	facts    facts
}

// refuse makes the answer a refusal of everything, and keeps its memory.
func (a *answer) refuse() {
	*a = answer{code: codes.Unavailable, status: 503, headers: a.headers[:0], remove: a.remove[:0]}
}

// respond makes the answer to Envoy, and makes the verdict a refusal where it
// can't be told safely. Every answer comes from here, and each begins as a
// refusal: Envoy takes an empty CheckResponse, and one whose parts contradict
// each other, for an allow.
func respond(a *answer, v *Verdict, r *Request) {
	a.refuse()
	v.facts(&a.facts, r)
	if v.Reason.Allows() {
		a.upstream(v, r)
		if a.safe() {
			a.tell(v)
			a.allows, a.code, a.status = true, codes.OK, 0
			return
		}
		// A value that could split a header came from the store or a policy:
		// nothing that is known of the caller can be trusted, or repeated. The
		// verdict is what was answered: counts and logs say the same.
		*v = Verdict{Reason: policy.Undecided, Place: v.Place, Revision: v.Revision}
		a.refuse()
		v.facts(&a.facts, r)
	}
	a.tell(v)
	a.refusal(v, r)
}

// tell notes what the metadata say beside the facts.
func (a *answer) tell(v *Verdict) { a.reason, a.revision, a.plan = v.Reason, v.Revision, v.Plan }

// refusal answers with the policy's reply to a reason that doesn't allow.
func (a *answer) refusal(v *Verdict, r *Request) {
	reason := v.Reason
	reply := policy.DefaultReply(reason)
	f := policy.Facts{RequestID: r.requestID()}
	if p := v.Place.Policy; p != nil {
		reply = p.Reply(reason)
		if v.Key != nil {
			// A record may be older than the policy: only a name of the policy's
			// own may stand in a header.
			if e := p.Environment(v.Key.Environment); e != nil {
				f.KeyEnvironment = e.Name
			}
		}
		if e := p.Environment(v.Place.Environment); e != nil {
			f.RequestEnvironment = e.Title
		}
	}
	a.code = code(reason)
	// Envoy answers 403 where it isn't set, whatever the gRPC code.
	a.status = reply.Status
	a.set("content-type", reply.ContentType)
	a.set("cache-control", "no-store")
	if reply.Status == 401 {
		a.set("www-authenticate", challenge(v.Place.Policy, reason, &r.room))
	}
	if reason.Status() == 503 {
		a.set("retry-after", strconv.Itoa(retryAfter))
	}
	for i := range reply.HeaderCount() {
		start := len(r.room)
		var name string
		name, r.room = reply.AppendHeader(r.room, i, f)
		a.set(name, r.room.since(start))
	}
	start := len(r.room)
	r.room = reply.AppendBody(r.room, f)
	a.body = r.room.since(start)
}

// set adds a header.
func (a *answer) set(name, value string) {
	a.headers = append(a.headers, policy.Header{Name: name, Value: value})
}

// challenge is the WWW-Authenticate of a 401 (RFC 6750 section 3): no error
// code where no credential was presented.
func challenge(p *policy.Policy, reason policy.Reason, m *room) string {
	start := len(*m)
	*m = append(append(append(*m, `Bearer realm="`...), p.Name()...), '"')
	if reason != policy.KeyMissing {
		*m = append(*m, `, error="invalid_token"`...)
	}
	return m.since(start)
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

// safe reports whether no header's value holds anything but printable ASCII.
func (a *answer) safe() bool {
	for i := range a.headers {
		if !isPrintable(a.headers[i].Value) {
			return false
		}
	}
	return true
}

// consistent reports whether an answer says one thing, and so that Envoy
// takes it for that: OK and an allow, or a code that isn't OK with a status
// that is no success. And whether it can be sent: Envoy doesn't read metadata
// or a body that isn't UTF-8. What an allow tells of a key is safe, and what
// else it tells is of the policy.
func (a *answer) consistent() bool {
	if a.allows {
		return a.code == codes.OK && isUTF8(a.plan)
	}
	if a.code == codes.OK || a.status < 400 {
		return false
	}
	for i := range a.facts {
		if !isUTF8(a.facts[i]) {
			return false
		}
	}
	return isUTF8(a.plan) && isUTF8(a.body)
}

func isUTF8(s string) bool { return isASCII(s) || utf8.ValidString(s) }
