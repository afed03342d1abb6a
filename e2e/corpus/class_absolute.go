package corpus

// absoluteForms are request targets with an authority of their own, which takes
// the place of Host.
func absoluteForms(b *builder) {
	type target struct{ host, target string }
	for _, key := range []string{"kodey-pk", "sho-pk-live"} {
		host := hostOf(b.w.Find(key))
		open, shut := "/v1/chat", "/v1/members"
		if key == "sho-pk-live" {
			open, shut = "/v1/feed", "/v1/analytics"
		}
		for _, t := range []target{
			{host, "http://" + host + open},
			{"evil.example", "http://" + host + open},
			{host, "http://evil.example" + open},
			{host, "http://" + host + shut},
			{"evil.example", "http://" + host + shut},
			{host, "http://" + host + ":81" + open},
			{host, "http://" + host + "." + open},
			{host, "http://u:p@" + host + open},
			{host, "http://" + host + "@evil.example" + open},
			{host, "http://evil.example@" + host + open},
			{host, "http://" + host + open + "/../" + shut[4:]},
			{host, "http://" + host + "/" + open},
			{host, "http://" + host},
			{host, "http://" + host + "?" + open},
			{host, "http://" + host + "/?" + open},
			{host, "http://" + host + open + "#" + shut},
			{host, "https://" + host + open},
			{host, "HTTP://" + host + open},
			{host, "ftp://" + host + open},
			{host, "http:/" + open},
			{host, "//" + host + open},
			{host, "http:///" + open},
			{host, "ws://" + host + open},
			{host, host + open},
			{host, "http://" + host + `\` + open},
		} {
			b.h1(key+" "+t.target+" with Host "+t.host, request{line: "GET " + t.target, key: key, host: t.host})
		}
	}
	b.h2("a URL as :path", request{line: "GET http://api.kodey.example/v1/chat", key: "kodey-pk"})
	b.h1("environment by absolute form", request{line: "GET http://api.staging.shortkit.dev/v1/feed", key: "sho-pk-test", host: "api.shortkit.dev"})
	b.h1("environment by Host behind absolute form", request{line: "GET http://api.shortkit.dev/v1/feed", key: "sho-pk-test", host: "api.staging.shortkit.dev"})
}
