package corpus

import "strings"

// hostCases are ways to write a host, over each of the systems.
func hostCases(b *builder) {
	for _, v := range []struct{ key, line string }{
		{"kodey-pk", "GET /v1/chat"}, {"cun-kr", "GET /v1/documents"}, {"spo-sk-editor", "GET /api/client/x"}, {"sho-pk-live", "GET /v1/feed"},
	} {
		host := hostOf(b.w.Find(v.key))
		_, domain, _ := strings.Cut(host, ".")
		for _, h := range []string{
			strings.ToUpper(host), host + ":443", host + ":8443", strings.ToUpper(host) + ":81", host + ".", host + ".:81", host + "..",
			host + ":81:81", host + ":", host + ":x", host + ":-1", host + ",evil.example", "evil.example," + host, host + "," + host,
			"evil.example", "evil." + host, host + ".evil.example", "x" + host, domain, "*." + domain, "." + host, "localhost", "127.0.0.1", "127.0.0.1:81", "[::1]", "[::1]:81", "2130706433", "*",
			host + ";x", host + "%00", "%61" + host[1:], host + "&x",
		} {
			b.h1(v.key+" "+h, request{line: v.line, key: v.key, host: h})
			if v.key == "kodey-pk" && !strings.Contains(h, "%") {
				b.h2(v.key+" "+h, request{line: v.line, key: v.key, host: h})
			}
		}
		s, id := b.complete(request{line: v.line, key: v.key})
		token := s.headers[0].Value
		raw := func(name string, hosts []string, lines string, e map[Profile]own) {
			s := s
			s.hosts = hosts
			b.raw(v.key+" "+name, Case{Raw: []byte(v.line + " HTTP/1.1\r\n" + lines + "Authorization: " + token + "\r\nConnection: close\r\n\r\n"), KeyID: id, sent: s, envoy: e})
		}
		raw("two hosts", []string{host, "evil.example"}, "Host: "+host+"\r\nHost: evil.example\r\n", nil)
		raw("two hosts turned", []string{"evil.example", host}, "Host: evil.example\r\nHost: "+host+"\r\n", nil)
		raw("the same host twice", []string{host, host}, "Host: "+host+"\r\nHost: "+host+"\r\n", nil)
		raw("empty host", []string{""}, "Host:\r\n", nil)
		raw("no host", nil, "", always(400))
		raw("space in the host", nil, "Host: "+host+" evil\r\n", always(400))
		raw("slash in the host", nil, "Host: "+host+"/x\r\n", always(400))
		raw("tab after the host", []string{host}, "Host: "+host+"\t\r\n", nil)
		raw("userinfo", []string{"x@" + host}, "Host: x@"+host+"\r\n", nil)
		raw("high byte", nil, "Host: "+host+"\xff\r\n", always(400))
		raw("kelvin sign", nil, "Host: "+strings.Replace(host, "a", "\u212a", 1)+"\r\n", always(400))
	}
	b.frames("host beside :authority counts for nothing", h2Host(b, "kodey-pk", "api.kodey.example", "evil.example", "api.kodey.example"))
	b.frames("good host beside a wrong :authority", h2Host(b, "kodey-pk", "evil.example", "api.kodey.example", "evil.example"))
	b.frames("host without :authority", h2Host(b, "kodey-pk", "", "api.kodey.example", "api.kodey.example"))
	b.frames("userinfo", Case{H2: h2Host(b, "kodey-pk", "x@api.kodey.example", "", "").H2, envoy: always(0)})
}

// h2Host is a request with an :authority and a host header of which Envoy takes
// one, named seen.
func h2Host(b *builder, key, authority, host, seen string) Case {
	s, id := b.complete(request{line: "GET /v1/chat", key: key})
	s.hosts = []string{seen}
	c := Case{KeyID: id, sent: s}
	c.H2 = append(c.H2, pseudo("GET", "/v1/chat")...)
	if authority != "" {
		c.H2 = append(c.H2, header(":authority", authority)...)
	}
	if host != "" {
		c.H2 = append(c.H2, header("host", host)...)
	}
	c.H2 = append(c.H2, s.headers...)
	return c
}
