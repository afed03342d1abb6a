package load

import (
	"slices"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

func denial(code int32, http typev3.StatusCode) *authv3.CheckResponse {
	d := &authv3.DeniedHttpResponse{Body: "no"}
	if http != 0 {
		d.Status = &typev3.HttpStatus{Code: http}
	}
	return &authv3.CheckResponse{
		Status:          &status.Status{Code: code, Message: "no"},
		HttpResponse:    &authv3.CheckResponse_DeniedResponse{DeniedResponse: d},
		DynamicMetadata: &structpb.Struct{Fields: map[string]*structpb.Value{"reason": structpb.NewStringValue("NO")}},
	}
}

func TestCheckStatus(t *testing.T) {
	for name, c := range map[string]struct {
		response *authv3.CheckResponse
		want     int
	}{
		"empty":             {&authv3.CheckResponse{}, 200},
		"allowed":           {&authv3.CheckResponse{Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}}, 200},
		"denied":            {denial(16, typev3.StatusCode_Unauthorized), 401},
		"denied, no status": {denial(7, 0), 403},
		"outage":            {denial(14, typev3.StatusCode_ServiceUnavailable), 503},
	} {
		encoded, err := proto.Marshal(c.response)
		if err != nil {
			t.Fatal(err)
		}
		got, err := checkStatus(encoded)
		whole, wholeErr := checkStatusWhole(encoded)
		if err != nil || wholeErr != nil || got != c.want || whole != c.want {
			t.Errorf("%s: %d, %v and %d, %v; want %d", name, got, err, whole, wholeErr, c.want)
		}
	}
	contradicting, err := proto.Marshal(denial(0, typev3.StatusCode_Forbidden))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := checkStatus(contradicting); err == nil {
		t.Errorf("a denial that is OK counts as %d", got)
	}
}

func TestParseHead(t *testing.T) {
	for head, want := range map[string][2]int{
		"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nserver: envoy\r\n\r\n":   {200, 2},
		"HTTP/1.1 401 Unauthorized\r\nContent-Length:17\r\n\r\n":          {401, 17},
		"HTTP/1.1 403 Forbidden\r\ndate: today\r\nserver: envoy\r\n\r\n":  {403, 0},
		"HTTP/1.1 204 No Content\r\nx-content-length: 3\r\nx: :\r\n\r\n":  {204, 0},
		"HTTP/1.1 503 \r\nconnection: keep-alive\r\ncontent-length:0\r\n": {503, 0},
	} {
		if status, body, err := parseHead([]byte(head)); err != nil || [2]int{status, body} != want {
			t.Errorf("%q: %d, %d, %v", head, status, body, err)
		}
	}
	for _, head := range []string{
		"", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
	} {
		if status, _, err := parseHead([]byte(head)); err == nil {
			t.Errorf("%q is answered %d", head, status)
		}
	}
}

// An answer may come in pieces of any size.
func TestHTTP1InPieces(t *testing.T) {
	h := &http1{requests: [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n")}}
	answer := []byte("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
	if out := h.begin(nil, call{}); !slices.Equal(out, h.requests[0]) || h.room() {
		t.Errorf("%q, room %v", out, h.room())
	}
	for n := range len(answer) {
		if used, _, err := h.take(answer[:n], nil, func(call, int) { t.Error("it has ended early") }); used != 0 || err != nil {
			t.Errorf("%d of %d bytes: %d, %v", n, len(answer), used, err)
		}
	}
	got := 0
	if used, _, err := h.take(answer, nil, func(_ call, status int) { got = status }); used != len(answer) || err != nil || got != 200 || !h.room() {
		t.Errorf("%d, %v, status %d", used, err, got)
	}
	if _, _, err := h.take(answer, nil, func(call, int) {}); err == nil {
		t.Error("an answer to no request was taken")
	}
}
