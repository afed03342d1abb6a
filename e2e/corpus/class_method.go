package corpus

import "strings"

// methods are endpoints that ask more of one method than of another, with each
// method there is and some there isn't.
func methods(b *builder) {
	all := strings.Fields("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PROPFIND LINK PURGE")
	for _, c := range []struct{ key, path string }{
		{"sho-pk-live", "/v1/feed"},
		{"sho-pk-live", "/v1/events"},
		{"cun-kr", "/v1/documents"},
		{"cun-by-keeper", "/v1/agents/a"},
		{"spo-sk-support", "/api/projects/p_1"},
		{"spo-sk-smtpproxy", "/api/projects/p_1/smtp/send"},
		{"spo-ok-admin", "/api/admin/projects/p_1"},
		{"spo-pk-editor", "/api/client/events"},
		{"kodey-pk", "/v1/chat"},
		{"kodey-usk-none", "/v1/teams"},
	} {
		for _, method := range all {
			r := request{line: method + " " + c.path, key: c.key}
			b.h1(c.key+" "+r.line, r)
			if method != "CONNECT" {
				b.h2(c.key+" "+r.line, r)
			}
		}
		b.h1(c.key+" "+c.path+" OPTIONS *", request{line: "OPTIONS *", key: c.key})
		b.h1(c.key+" "+c.path+" CONNECT its host", request{line: "CONNECT " + hostOf(b.w.Find(c.key)) + ":443", key: c.key})
		b.h1(c.key+" CONNECT elsewhere "+c.path, request{line: "CONNECT evil.example:443", key: c.key})
		for _, odd := range []string{"get", "Get", "head", "delete", "FOO", "GETX", "G-T", "GET.", "QUERY", "M-SEARCHX", "__proto__"} {
			r := request{line: odd + " " + c.path, key: c.key}
			b.h2(c.key+" "+r.line, r)
			if c.key == "kodey-pk" {
				b.h1(c.key+" "+r.line, r)
			}
		}
	}
}
