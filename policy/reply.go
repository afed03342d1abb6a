package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Content types of bodies.
const (
	problemJSON = "application/problem+json" // RFC 9457
	plainJSON   = "application/json"
)

// Reply is how one reason is answered: prepared when the policy was compiled,
// filled with the facts of a request.
type Reply struct {
	Status      int
	ContentType string
	headers     []replyHeader
	body        []piece
}

// Header is a header of a reply.
type Header struct{ Name, Value string }

type replyHeader struct {
	name  string
	value []piece
}

// Facts are what placeholders stand for: names of the policy and an id that
// was checked. All of them are printable ASCII, which is safe in a header; a
// body escapes them.
type Facts struct {
	RequestID          string
	KeyEnvironment     string
	RequestEnvironment string
}

// piece is literal text or, where text is empty, a placeholder.
type piece struct {
	text string
	fact fact
}

type fact uint8

const (
	requestID fact = iota + 1
	keyEnvironment
	requestEnvironment
)

var factNames = map[string]fact{
	"request_id":          requestID,
	"key.environment":     keyEnvironment,
	"request.environment": requestEnvironment,
}

// Body returns the body of the reply, which is JSON.
func (r *Reply) Body(f Facts) string { return string(r.AppendBody(nil, f)) }

// AppendBody appends the body of the reply to b.
func (r *Reply) AppendBody(b []byte, f Facts) []byte {
	return render(b, r.body, Facts{escapeJSON(f.RequestID), escapeJSON(f.KeyEnvironment), escapeJSON(f.RequestEnvironment)})
}

// Headers returns the headers that the policy adds to the reply.
func (r *Reply) Headers(f Facts) []Header {
	out := make([]Header, len(r.headers))
	for i := range out {
		name, value := r.AppendHeader(nil, i, f)
		out[i] = Header{name, string(value)}
	}
	return out
}

// HeaderCount returns how many headers the policy adds to the reply.
func (r *Reply) HeaderCount() int { return len(r.headers) }

// AppendHeader appends the value of a header that the policy adds to b, and
// returns the header's name beside it.
func (r *Reply) AppendHeader(b []byte, i int, f Facts) (name string, appended []byte) {
	return r.headers[i].name, render(b, r.headers[i].value, f)
}

func render(b []byte, pieces []piece, f Facts) []byte {
	for _, p := range pieces {
		switch p.fact {
		case requestID:
			b = append(b, f.RequestID...)
		case keyEnvironment:
			b = append(b, f.KeyEnvironment...)
		case requestEnvironment:
			b = append(b, f.RequestEnvironment...)
		default:
			b = append(b, p.text...)
		}
	}
	return b
}

// DefaultReply is how a reason is answered where no policy says otherwise.
func DefaultReply(r Reason) *Reply { return defaultReplies[r.index()] }

var defaultReplies = func() (all [reasonCount]*Reply) {
	for r := range all {
		reply, err := buildReply(Reason(r), replySpec{})
		if err != nil {
			panic(err) // the table of reasons is wrong, which a test would have shown
		}
		all[r] = reply
	}
	return all
}()

// replySpec is a reply's document after inheritance.
type replySpec struct {
	status        uint32
	headers       map[string]string
	code, message string
	body          *policyv1.JsonValue
}

// over returns the spec with what the document says put over it.
func (s replySpec) over(doc *policyv1.Reply) replySpec {
	if doc.GetStatus() != 0 {
		s.status = doc.GetStatus()
	}
	if len(doc.GetHeaders()) > 0 {
		merged := map[string]string{}
		for n, v := range s.headers {
			merged[n] = v
		}
		for n, v := range doc.GetHeaders() {
			merged[strings.ToLower(n)] = v
		}
		s.headers = merged
	}
	if doc.GetCode() != "" {
		s.code = doc.GetCode()
	}
	if doc.GetMessage() != "" {
		s.message = doc.GetMessage()
	}
	if doc.GetBody() != nil {
		s.body = doc.GetBody()
	}
	return s
}

func buildReply(r Reason, s replySpec) (*Reply, error) {
	reply := &Reply{Status: r.Status(), ContentType: plainJSON}
	if s.status != 0 {
		reply.Status = int(s.status)
	}
	words := map[string]string{"code": s.code, "message": s.message, "reason": r.String()}
	if words["code"] == "" {
		// A client must not tell one 401 from another unless the policy means it to.
		words["code"] = r.String()
		if r.Status() == 401 {
			words["code"] = "UNAUTHORIZED"
		}
	}
	if words["message"] == "" {
		words["message"] = r.Message()
	}
	body := s.body
	if body == nil {
		body = problem(reply.Status)
		reply.ContentType = problemJSON
	}
	t := templater{words: words}
	t.json(body)
	reply.body = join(t.done())
	for _, name := range sortedKeys(s.headers) {
		t := templater{words: words}
		t.text(s.headers[name], func(s string) string { return s })
		reply.headers = append(reply.headers, replyHeader{name, join(t.done())})
		if t.err == nil && printable(s.headers[name]) { // else that is the mistake
			t.err = headerText(name, t.done())
		}
		if t.err != nil {
			return nil, t.err
		}
		if name == "content-type" {
			reply.ContentType = s.headers[name]
		}
	}
	reply.headers = slices.DeleteFunc(reply.headers, func(h replyHeader) bool { return h.name == "content-type" })
	return reply, t.err
}

// headerText fails where a message or code that the header's value took in
// can't stand in a header: beyond ASCII, or a line break.
func headerText(name string, value []piece) error {
	for _, p := range value {
		if !printable(p.text) {
			return fmt.Errorf("the header %s takes in %q, and a header holds printable ASCII only", name, p.text)
		}
	}
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// problem is the body of RFC 9457: a code only where it tells the client
// what it may know.
func problem(status int) *policyv1.JsonValue {
	text := func(s string) *policyv1.JsonValue {
		return &policyv1.JsonValue{Value: &policyv1.JsonValue_Text{Text: s}}
	}
	members := []*policyv1.JsonMember{
		{Name: "type", Value: text("about:blank")},
		{Name: "title", Value: text(http.StatusText(status))},
		{Name: "status", Value: &policyv1.JsonValue{Value: &policyv1.JsonValue_Literal{Literal: fmt.Sprint(status)}}},
		{Name: "detail", Value: text("{message}")},
		{Name: "code", Value: text("{code}")},
		{Name: "request_id", Value: text("{request_id}")},
	}
	return &policyv1.JsonValue{Value: &policyv1.JsonValue_Object{Object: &policyv1.JsonObject{Members: members}}}
}
