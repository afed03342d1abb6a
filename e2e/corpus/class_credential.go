package corpus

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/latchkey/latchkey/internal/oracle"
)

// credentials is everything about how a token is presented.
func credentials(b *builder) {
	const key, line = "kodey-sk", "GET /v1/chat"
	token := b.w.Find(key).Token
	other := b.w.Find("kodey-sk-2").Token
	digest := sha256.Sum256([]byte(token))
	values := []struct {
		name string
		auth []string
	}{
		{"none", []string{}},
		{"empty", []string{""}},
		{"scheme only", []string{"Bearer"}},
		{"scheme and space", []string{"Bearer "}},
		{"bare token", []string{token}},
		{"lower scheme", []string{"bearer " + token}},
		{"upper scheme", []string{"BEARER " + token}},
		{"mixed scheme", []string{"bEaReR " + token}},
		{"two spaces", []string{"Bearer  " + token}},
		{"tab", []string{"Bearer\t" + token}},
		{"space tab", []string{"Bearer \t" + token}},
		{"tab space", []string{"Bearer\t " + token}},
		{"leading space", []string{" Bearer " + token}},
		{"trailing space", []string{"Bearer " + token + " "}},
		{"trailing tab", []string{"Bearer " + token + "\t"}},
		{"no space", []string{"Bearer" + token}},
		{"colon", []string{"Bearer: " + token}},
		{"equals", []string{"Bearer=" + token}},
		{"quoted", []string{`Bearer "` + token + `"`}},
		{"single quoted", []string{"Bearer '" + token + "'"}},
		{"angle", []string{"Bearer <" + token + ">"}},
		{"token68 padding", []string{"Bearer " + token + "="}},
		{"token parameter", []string{"Bearer token=" + token}},
		{"semicolon", []string{"Bearer " + token + ";a=b"}},
		{"trailing comma", []string{"Bearer " + token + ","}},
		{"leading comma", []string{"Bearer ," + token}},
		{"comma first", []string{",Bearer " + token}},
		{"twice in one", []string{"Bearer " + token + "," + token}},
		{"twice in one with scheme", []string{"Bearer " + token + ", Bearer " + token}},
		{"two words", []string{"Bearer " + token + " " + token}},
		{"word after", []string{"Bearer " + token + " x"}},
		{"word before", []string{"Bearer x " + token}},
		{"scheme twice", []string{"Bearer Bearer " + token}},
		{"same twice", []string{"Bearer " + token, "Bearer " + token}},
		{"two keys", []string{"Bearer " + token, "Bearer " + other}},
		{"two keys turned", []string{"Bearer " + other, "Bearer " + token}},
		{"basic first", []string{"Basic eDp5", "Bearer " + token}},
		{"basic second", []string{"Bearer " + token, "Basic eDp5"}},
		{"garbage second", []string{"Bearer " + token, "x"}},
		{"garbage first", []string{"x", "Bearer " + token}},
		{"empty first", []string{"", "Bearer " + token}},
		{"empty second", []string{"Bearer " + token, ""}},
		{"empty thrice", []string{"", "", ""}},
		{"three", []string{"Bearer " + token, "Bearer " + token, "Bearer " + token}},
		{"basic user", []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(token+":"))}},
		{"basic password", []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+token))}},
		{"basic raw", []string{"Basic " + token}},
		{"digest scheme", []string{"Digest " + token}},
		{"token scheme", []string{"Token " + token}},
		{"apikey scheme", []string{"ApiKey " + token}},
		{"key scheme", []string{"Key " + token}},
		{"bearertoken scheme", []string{"BearerToken " + token}},
		{"negotiate", []string{"Negotiate " + token}},
		{"dpop", []string{"DPoP " + token}},
		{"the digest of a key", []string{"Bearer " + hex.EncodeToString(digest[:])}},
		{"the digest after the prefix", []string{"Bearer sk_live_" + hex.EncodeToString(digest[:15])}},
		{"the key id", []string{"Bearer " + b.w.Find(key).ID}},
		{"prefix and last four", []string{"Bearer sk_live_" + strings.Repeat("*", 26) + token[len(token)-4:]}},
		{"base64 of a key", []string{"Bearer " + base64.StdEncoding.EncodeToString([]byte(token))}},
		{"escaped underscore", []string{"Bearer " + strings.ReplaceAll(token, "_", "%5f")}},
		{"jwt none", []string{"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."}},
		{"star", []string{"Bearer *"}},
		{"null word", []string{"Bearer null"}},
		{"undefined", []string{"Bearer undefined"}},
		{"dash", []string{"Bearer -"}},
		{"sql", []string{"Bearer ' OR 1=1 --"}},
		{"ldap", []string{"Bearer *)(uid=*"}},
		{"template", []string{"Bearer {{7*7}}"}},
		{"path", []string{"Bearer ../../etc/passwd"}},
		{"256 characters", []string{"Bearer " + strings.Repeat("a", 256)}},
		{"257 characters", []string{"Bearer " + strings.Repeat("a", 257)}},
		{"10000 characters", []string{"Bearer " + strings.Repeat("a", 10000)}},
		{"key and filler", []string{"Bearer " + token + strings.Repeat("a", 10000)}},
		{"high byte inside", []string{"Bearer " + token[:20] + "\xff" + token[20:]}},
		{"high byte after", []string{"Bearer " + token + "\x80"}},
		{"nbsp", []string{"Bearer\xa0" + token}},
		{"utf8 space", []string{"Bearer\u2003" + token}},
		{"utf8 k", []string{"Bearer " + strings.Replace(token, "s", "\u017f", 1)}},
		{"byte order mark", []string{"\ufeffBearer " + token}},
		{"zero width", []string{"Bearer " + token + "\u200b"}},
	}
	for _, v := range values {
		b.both(v.name, request{line: line, key: key, auth: v.auth})
	}
	// Text elsewhere is text.
	for _, h := range []oracle.Header{
		{Name: "X-API-Key", Value: token},
		{Name: "Api-Key", Value: token},
		{Name: "Proxy-Authorization", Value: "Bearer " + token},
		{Name: "X-Authorization", Value: "Bearer " + token},
		{Name: "X-Forwarded-Authorization", Value: "Bearer " + token},
		{Name: "X-Original-Authorization", Value: "Bearer " + token},
		{Name: "Cookie", Value: "authorization=Bearer " + token},
		{Name: "Cookie", Value: "token=" + token},
		{Name: "X-Access-Token", Value: token},
		{Name: "X-Auth-Token", Value: token},
		{Name: "WWW-Authenticate", Value: "Bearer " + token},
		{Name: "X-Amz-Security-Token", Value: token},
		{Name: "Authentication", Value: "Bearer " + token},
		{Name: "Sec-WebSocket-Protocol", Value: "bearer, " + token},
	} {
		b.h1("only in "+h.Name+" "+h.Value[:6], request{line: line, key: key, auth: []string{}, headers: []oracle.Header{h}})
	}
	b.h1("another key in X-API-Key beside it", request{line: line, key: key, headers: header("X-API-Key", other)})
	for _, query := range []string{"?api_key=", "?key=", "?access_token=", "?token=", "?authorization=Bearer%20"} {
		b.both("only in the query "+query, request{line: line + query + token, key: key, auth: []string{}})
	}
	b.h1("only in the body", request{line: "POST /v1/chat", key: key, auth: []string{}, body: "access_token=" + token, headers: header("Content-Type", "application/x-www-form-urlencoded")})
	b.h1("only in userinfo", request{line: "GET http://" + token + ":@api.kodey.example/v1/chat", key: key, auth: []string{}})
	b.h1("only in the path", request{line: line + "/" + token, key: key, auth: []string{}})
	b.h1("dropped by Connection", request{line: line, key: key, headers: header("Connection", "authorization")})
	byHand(b, token)
}

// byHand are credentials whose bytes no well-behaved client writes.
func byHand(b *builder, token string) {
	k := b.w.Find("kodey-sk")
	add := func(name, lines, seen string, e map[Profile]own) {
		s := sent{method: "GET", target: "/v1/chat", hosts: []string{hostOf(k)}}
		if seen != "" {
			s.headers = header("authorization", seen)
		}
		raw := "GET /v1/chat HTTP/1.1\r\nHost: " + hostOf(k) + "\r\n" + lines + "Connection: close\r\n\r\n"
		b.raw(name, Case{Raw: []byte(raw), KeyID: k.ID, sent: s, envoy: e})
	}
	bearer := "Bearer " + token
	add("folded after the scheme", "Authorization: Bearer\r\n "+token+"\r\n", bearer, nil)
	add("folded with a tab", "Authorization: Bearer\r\n\t"+token+"\r\n", "Bearer\t"+token, nil)
	add("folded inside the token", "Authorization: "+bearer[:20]+"\r\n "+bearer[20:]+"\r\n", bearer[:20]+" "+bearer[20:], nil)
	add("bare CR inside", "Authorization: "+bearer[:20]+"\r"+bearer[20:]+"\r\n", bearer, nil)
	add("bare CR before more", "Authorization: "+bearer+"\rX\r\n", bearer+"X", nil)
	add("bare CR splits a header", "Authorization: "+bearer+"\rX-Team-Id: t_2\r\n", bearer+"X-Team-Id: t_2", nil)
	add("NUL inside", "Authorization: "+bearer[:20]+"\x00"+bearer[20:]+"\r\n", "", always(400))
	add("NUL after", "Authorization: "+bearer+"\x00\r\n", "", always(400))
	add("control byte", "Authorization: "+bearer+"\x01\r\n", "", always(400))
	add("DEL", "Authorization: "+bearer+"\x7f\r\n", "", always(400))
	add("space before the colon", "Authorization : "+bearer+"\r\n", "", always(400))
	add("space before the name", "X: y\r\n Authorization: "+bearer+"\r\n", "", nil)
	add("no space after the colon", "Authorization:"+bearer+"\r\n", bearer, nil)
	add("tab after the colon", "Authorization:\t"+bearer+"\r\n", bearer, nil)
	add("capitals", "AUTHORIZATION: "+bearer+"\r\n", bearer, nil)
	add("after the empty line", "Connection: close\r\n\r\nAuthorization: "+bearer+"\r\n", "", nil)
	add("name with a dash less", "Author-ization: "+bearer+"\r\n", "", nil)
	add("high byte in the name", "Authorizat\xefon: "+bearer+"\r\n", "", always(400))
	add("bare LF as line end", "Authorization: "+bearer+"\n", bearer, nil)
}
