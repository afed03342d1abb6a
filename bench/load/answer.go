package load

import (
	"errors"
	"fmt"
	"net/http"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Fields of envoy.service.auth.v3.CheckResponse, and of what is in it.
const (
	fieldStatus     = 1 // google.rpc.Status
	fieldDenied     = 2 // DeniedHttpResponse
	fieldCode       = 1 // of google.rpc.Status and of envoy.type.v3.HttpStatus
	fieldHTTPStatus = 1 // of DeniedHttpResponse
)

const (
	statusOfADenial  = http.StatusForbidden // where it names none
	everySoManyWhole = 4096                 // answers are also decoded by the generated type
)

var errNoResponse = errors.New("an answer is no CheckResponse")

// checkStatus returns the HTTP status that a CheckResponse stands for: 200 where
// it allows. It reads no more of it than that.
func checkStatus(response []byte) (int, error) {
	status, _ := field(response, fieldStatus)
	denied, isDenied := field(response, fieldDenied)
	code, err := varintIn(status)
	switch {
	case err != nil:
		return 0, err
	case code == 0 && isDenied:
		return 0, errors.New("an answer denies and is OK")
	case code == 0:
		return http.StatusOK, nil
	}
	reply, ok := field(denied, fieldHTTPStatus)
	if !ok {
		return statusOfADenial, nil
	}
	return varintIn(reply)
}

// checkStatusWhole is checkStatus by the generated type, to hold the former against.
func checkStatusWhole(response []byte) (int, error) {
	m := &authv3.CheckResponse{}
	if err := proto.Unmarshal(response, m); err != nil {
		return 0, fmt.Errorf("%w: %w", errNoResponse, err)
	}
	if m.GetStatus().GetCode() == 0 {
		return http.StatusOK, nil
	}
	if code := int(m.GetDeniedResponse().GetStatus().GetCode()); code != 0 {
		return code, nil
	}
	return statusOfADenial, nil
}

// field returns the first field of a message that has a number and a length.
// What is broken has no fields.
func field(message []byte, number protowire.Number) ([]byte, bool) {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return nil, false
		}
		message = message[size:]
		if n == number && kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(message)
			return value, size >= 0
		}
		if size = protowire.ConsumeFieldValue(n, kind, message); size < 0 {
			return nil, false
		}
		message = message[size:]
	}
	return nil, false
}

// varintIn returns the field fieldCode of a message that begins with it, or 0.
func varintIn(message []byte) (int, error) {
	if len(message) == 0 {
		return 0, nil
	}
	number, kind, size := protowire.ConsumeTag(message)
	if size < 0 {
		return 0, errNoResponse
	}
	if number != fieldCode || kind != protowire.VarintType {
		return 0, nil
	}
	value, size := protowire.ConsumeVarint(message[size:])
	if size < 0 {
		return 0, errNoResponse
	}
	return int(value), nil
}
