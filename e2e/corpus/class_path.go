package corpus

import "strings"

// victims are, for each system, a low key with a path that it opens and a
// neighbour of it that it must not reach.
var victims = []struct{ key, method, open, shut string }{
	{"kodey-pk", "GET", "/v1/chat", "/v1/members"},
	{"cun-kr", "GET", "/v1/documents", "/v1/agents"},
	{"spo-pk-editor", "POST", "/api/client/events", "/api/client/users"},
	{"sho-pk-live", "GET", "/v1/feed", "/v1/analytics"},
}

// pathTricks are ways to write a path so that a gate and a server may read it
// differently: OPEN and SHUT are the two paths, TOP their first segment, NAME
// the last one of SHUT, BASE what stands before it.
var pathTricks = []string{
	"OPEN/../NAME", "OPEN/x/../../NAME", "OPEN/./../NAME", "OPEN/../../TOP/NAME", "OPEN/..//NAME",
	"OPEN/%2e%2e/NAME", "OPEN/%2E%2E/NAME", "OPEN/.%2e/NAME", "OPEN/%2e./NAME", "OPEN/%2e%2e%2fNAME",
	"OPEN/..%2fNAME", "OPEN/..%2FNAME", "OPEN/..%5cNAME", `OPEN/..\NAME`, `OPEN\..\NAME`, `OPEN/\..\NAME`,
	"OPEN/..;/NAME", "OPEN/..;a=b/NAME", "OPEN/%2e%2e;/NAME", "OPEN/.%2e;/NAME", "OPEN/%2E.;x/NAME", "OPEN/..%3b/NAME",
	"OPEN/..%00/NAME", "OPEN/..%09/NAME", "OPEN/..%20/NAME", "OPEN/..%0d%0a/NAME", "OPEN/..%23/NAME", "OPEN/..%3f/NAME",
	"OPEN/%252e%252e/NAME", "OPEN/%25252e%25252e/NAME", "OPEN/%c0%ae%c0%ae/NAME", "OPEN/%e0%80%ae%e0%80%ae/NAME", "OPEN/%u002e%u002e/NAME", "OPEN/%uff0e%uff0e/NAME",
	"OPEN/.../NAME", "OPEN/..../NAME", "OPEN/..x/NAME", "OPEN/..NAME",
	"OPEN/..", "OPEN/.", "OPEN/%2e", "OPEN/%2e%2e", "OPEN/./", "OPEN/../",
	"/SHUT", "//SHUT", "BASE//NAME", "BASE///NAME", "BASE/./NAME", "BASE/%2e/NAME", "./SHUT", "/.SHUT", "/%2e/SHUT", "/..SHUT", "/../SHUT",
	"SHUT/", "SHUT//", "SHUT/.", "SHUT/..OPEN", "SHUT;x=1", "SHUT;", "BASE/;/NAME", "BASE;x/NAME", "SHUT.", "SHUT%20", "SHUT%00", "SHUT%", "SHUT%zz", "SHUT%2", "SHUT%2f", "SHUT%5c", `SHUT\`, "SHUT,", "SHUT:", "SHUT!", "SHUT$", "SHUT[", "SHUT]", "SHUT^", "SHUT|", "SHUT<", `SHUT"`, "SHUT`", "SHUT{x}",
	"OPEN;/../NAME", "OPEN%2f..%2fNAME", "OPEN%2f%2e%2e%2fNAME", "OPEN?/../NAME", "OPEN%3f/../NAME", "OPEN#/../NAME", "OPEN%23/../NAME", "SHUT?OPEN", "SHUT#OPEN", "SHUT?x=OPEN#",
	"OPEN/", "OPEN//", "OPEN//x", "/OPEN", "OPEN?", "OPEN?x=%2e%2e", "OPEN?x=/../NAME;#", "OPEN%20", "OPEN%2f", "OPEN;x", "OPEN/;", "OPEN.json", "OPENx",
}

func paths(b *builder) {
	for _, v := range victims {
		i := strings.LastIndexByte(v.shut, '/')
		base, name := v.shut[:i], v.shut[i+1:]
		top, _, _ := strings.Cut(v.shut[1:], "/")
		replace := strings.NewReplacer("OPEN", v.open, "SHUT", v.shut, "TOP", top, "BASE", base, "NAME", name)
		for i, trick := range pathTricks {
			r := request{line: v.method + " " + replace.Replace(trick), key: v.key}
			b.h1(v.key+" "+trick, r)
			if v.key == "kodey-pk" || i%5 == 0 { // HTTP/2 has a parser of its own
				b.h2(v.key+" "+trick, r)
			}
		}
		for _, letter := range []string{v.shut[:1] + strings.ToUpper(v.shut[1:]), strings.ToUpper(v.open), v.open + "/" + strings.ToUpper(name)} {
			b.h1(v.key+" letters "+letter, request{line: v.method + " " + letter, key: v.key})
		}
		for _, part := range []string{v.shut[1:], "*", "?" + v.shut} {
			r := request{line: v.method + " " + part, key: v.key}
			b.both(v.key+" no slash "+part, r)
		}
		escaped := base + "/%" + hexOf(name[0]) + name[1:]
		b.both(v.key+" escaped letter "+escaped, request{line: v.method + " " + escaped, key: v.key})
		own := v.open[:len(v.open)-1] + "%" + hexOf(v.open[len(v.open)-1])
		b.both(v.key+" escaped letter of its own "+own, request{line: v.method + " " + own, key: v.key})
	}
	for _, odd := range []string{"/v1/chat/\xff", "/v1/chat/\x80\x80", "/v1/members\xff", "/v1/chat/\xc0\xae\xc0\xae/members", "/v1/chat/é", "/v1/chat/..\xff/members", "/v1/\xffmembers/../chat"} {
		b.h2("raw bytes "+hexText(odd), request{line: "GET " + odd, key: "kodey-pk"})
	}
	for _, mark := range []string{"/v1/chat/!", "/v1/chat!", "/v1/chat/a!b", "/v1/chat?x=!", "/v1/!/members"} {
		b.both("exclamation mark "+mark, request{line: "GET " + mark, key: "kodey-sk"})
	}
	for _, fine := range []string{"/v1/chat/-._~$&'()*+,=:@", "/v1/chat/a:b", "/v1/chat/@me", "/v1/chat/a,b", "/v1/chat/...", "/v1/chat/.hidden", "/v1/chat/x..", "/v1/chat?a=b&c=%2e%2e", "/v1/chat?\"<>^`{|}", "/v1/chat/a*b"} {
		b.both("clean "+fine, request{line: "GET " + fine, key: "kodey-pk"})
	}
}

func hexOf(c byte) string { return string([]byte{hexDigits[c>>4], hexDigits[c&15]}) }

// hexText writes bytes that are no ASCII as \XX, for names of cases.
func hexText(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			b.WriteString(`\` + hexOf(c))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
