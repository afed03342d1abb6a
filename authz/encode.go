package authz

import (
	"encoding/binary"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
)

// Tags of the fields that an answer is written with: number and wire type (2
// for what has a length, 1 for 64 bits, 0 for a varint), of
// envoy.service.auth.v3.CheckResponse and what it holds.
const (
	tagStatus   = 1<<3 | 2 // CheckResponse.status
	tagDenied   = 2<<3 | 2 // CheckResponse.denied_response
	tagOK       = 3<<3 | 2 // CheckResponse.ok_response
	tagMetadata = 4<<3 | 2 // CheckResponse.dynamic_metadata

	tagCode       = 1 << 3   // Status.code
	tagHTTPStatus = 1<<3 | 2 // DeniedHttpResponse.status
	tagHTTPCode   = 1 << 3   // HttpStatus.code
	tagHeaders    = 2<<3 | 2 // DeniedHttpResponse.headers, OkHttpResponse.headers
	tagBody       = 3<<3 | 2 // DeniedHttpResponse.body
	tagRemove     = 5<<3 | 2 // OkHttpResponse.headers_to_remove

	tagHeader = 1<<3 | 2 // HeaderValueOption.header
	tagKey    = 1<<3 | 2 // HeaderValue.key, and of an entry of a map
	tagValue  = 2<<3 | 2 // HeaderValue.value, and of an entry of a map

	tagField  = 1<<3 | 2 // Struct.fields
	tagNumber = 2<<3 | 1 // Value.number_value
	tagText   = 3<<3 | 2 // Value.string_value
)

// oneByte is above the lengths that are written in one byte.
const oneByte = 0x80

// append writes the answer as a CheckResponse: the bytes that a deterministic
// proto.Marshal of the generated types gives. The answer is consistent.
func (a *answer) append(b []byte) []byte {
	b = append(b, tagStatus)
	if a.code == codes.OK {
		b = append(b, 0) // there, and empty
	} else {
		b = append(b, 2, tagCode, byte(a.code))
	}
	b, at := open(b, tagMetadata)
	b = a.appendMetadata(b)
	b = shut(b, at)
	// The alternatives come last, as the generated types have it.
	if a.allows {
		b, at = open(b, tagOK)
		b = a.appendHeaders(b)
		for _, name := range a.remove {
			b = appendText(b, tagRemove, name)
		}
	} else {
		b, at = open(b, tagDenied)
		b = append(b, tagHTTPStatus, byte(1+protowire.SizeVarint(uint64(a.status))), tagHTTPCode) //nolint:gosec // 400 or more
		b = protowire.AppendVarint(b, uint64(a.status))                                           //nolint:gosec // likewise
		b = a.appendHeaders(b)
		if a.body != "" {
			b = appendText(b, tagBody, a.body)
		}
	}
	return shut(b, at)
}

func (a *answer) appendHeaders(b []byte) []byte {
	for i := range a.headers {
		// Envoy's default for these is to overwrite every instance.
		b = appendHeader(b, a.headers[i].Name, a.headers[i].Value)
	}
	return b
}

func appendHeader(b []byte, name, value string) []byte {
	if value == "" { // it isn't written then
		size := sizeText(name)
		b = protowire.AppendVarint(append(b, tagHeaders), uint64(1+protowire.SizeBytes(size)))
		b = protowire.AppendVarint(append(b, tagHeader), uint64(size))
		return appendText(b, tagKey, name)
	}
	if size := len(name) + len(value) + 4; size < oneByte-2 { // nearly all of them
		b = append(b, tagHeaders, byte(size+2), tagHeader, byte(size), tagKey, byte(len(name)))
		b = append(append(b, name...), tagValue, byte(len(value)))
		return append(b, value...)
	}
	size := sizeText(name) + sizeText(value)
	b = protowire.AppendVarint(append(b, tagHeaders), uint64(1+protowire.SizeBytes(size)))
	b = protowire.AppendVarint(append(b, tagHeader), uint64(size))
	return appendText(appendText(b, tagKey, name), tagValue, value)
}

// appendMetadata writes the fields in the byte order of their names.
func (a *answer) appendMetadata(b []byte) []byte {
	f := &a.facts
	b = appendField(b, "endpoint", f[factEndpoint])
	b = appendField(b, "environment", f[factEnvironment])
	b = appendField(b, "key_id", f[factKeyID])
	b = appendField(b, "plan", a.plan)
	b = appendField(b, "policy", f[factPolicy])
	b = appendField(b, "principal", f[factPrincipal])
	b = appendField(b, "reason", a.reason.String())
	b = appendNumber(b, "revision", float64(a.revision))
	b = appendField(b, "role", f[factRole])
	b = appendField(b, "scopes", f[factScopes])
	b = appendField(b, "tenant", f[factTenant])
	b = appendField(b, "tenants", f[factTenants])
	return appendField(b, "type", f[factType])
}

// appendField writes a field of a Struct that holds text, unless that is empty.
func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	if size := len(name) + len(value) + 6; size < oneByte { // nearly all of them
		b = append(b, tagField, byte(size), tagKey, byte(len(name)))
		b = append(append(b, name...), tagValue, byte(len(value)+2), tagText, byte(len(value)))
		return append(b, value...)
	}
	size := sizeText(value)
	b = protowire.AppendVarint(append(b, tagField), uint64(sizeText(name)+1+protowire.SizeBytes(size)))
	b = protowire.AppendVarint(append(appendText(b, tagKey, name), tagValue), uint64(size))
	return appendText(b, tagText, value)
}

// appendNumber writes a field of a Struct that holds a number.
func appendNumber(b []byte, name string, value float64) []byte {
	b = append(b, tagField, byte(sizeText(name)+2+9))
	b = appendText(b, tagKey, name)
	b = append(b, tagValue, 9, tagNumber)
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(value))
}

// appendText writes a field that is a string.
func appendText(b []byte, tag byte, s string) []byte {
	if len(s) < oneByte {
		return append(append(b, tag, byte(len(s))), s...)
	}
	return append(protowire.AppendVarint(append(b, tag), uint64(len(s))), s...)
}

func sizeText(s string) int { return 1 + protowire.SizeBytes(len(s)) }

// open begins a message whose length isn't known yet, and shut ends it. Two
// bytes are left for the length, which is what an answer's messages need.
func open(b []byte, tag byte) (opened []byte, at int) {
	b = append(b, tag, 0, 0)
	return b, len(b)
}

func shut(b []byte, at int) []byte {
	size := len(b) - at
	if size >= oneByte && size < oneByte*oneByte {
		b[at-2], b[at-1] = byte(size)|oneByte, byte(size>>7)
		return b
	}
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(size))
	b = append(b, length[:]...) // room for what the length may need more
	copy(b[at-2+n:], b[at:at+size])
	copy(b[at-2:], length[:n])
	return b[:at-2+n+size]
}
