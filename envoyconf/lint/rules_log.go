package lint

import (
	"regexp"
	"slices"
	"strings"
)

// logRules are about access logs and traces: what of a request ends up where others read it.
var logRules = []Rule{
	{
		"log-query", Warning, "keys that people put into the query are in the log",
		"Latchkey never reads a key there, but clients send them all the same",
		"log %PATH(NQ:ORIG_OR_PATH)%, and set log_format: Envoy's own has the query",
	},
	{
		"log-credential", Error, "keys are in the log",
		"the header that holds the key is logged as the client sent it, of every request that is refused; good keys are refused too",
		"take it out; %DYNAMIC_METADATA(envoy.filters.http.ext_authz)% says which key it was",
	},
	{
		"trace-credential", Error, "keys are in traces",
		"a tag of each span is the header that holds the key",
		"take it out; a tag from metadata of envoy.filters.http.ext_authz says which key it was",
	},
	{
		"trace-query", Note, "keys that people put into the query are in traces",
		"the tag http.url of each span has the whole URL",
		"refuse such requests where they begin, or drop the tag where spans are collected",
	},
}

// likely are headers that hold keys, whatever a policy says.
var likely = []string{"authorization", "proxy-authorization", "x-api-key", "api-key", "apikey", "x-auth-token"}

func (l *linter) isCredential(header string) bool {
	header = strings.ToLower(header)
	return slices.Contains(l.reads.Credentials, header) || slices.Contains(likely, header)
}

func lookAtLogs(l *linter) {
	for _, log := range l.survey.logs {
		name, config := log.typed()
		if config.get("path").text() == "/dev/null" {
			continue
		}
		switch {
		case strings.HasSuffix(name, ".HttpGrpcAccessLogConfig"):
			l.find("log-query", config, "the gRPC access log sends the path with the query")
			for _, h := range config.get("additional_request_headers_to_log").items() {
				if l.isCredential(h.text()) {
					l.find("log-credential", h, "the header "+h.text()+" is logged")
				}
			}
		case isText(name) && !config.get("log_format").ok() && !config.get("format").ok() && !config.get("json_format").ok() && !config.get("typed_json_format").ok():
			l.find("log-query", config, "there is no log_format, and Envoy's own has the query")
		}
		l.lookAtFormats(config, "log-credential")
	}
	for _, tag := range l.survey.tags {
		if name := tag.get("request_header", "name"); l.isCredential(name.text()) {
			l.find("trace-credential", name, "the header "+name.text()+" becomes a tag")
		}
		l.lookAtFormats(tag, "trace-credential")
	}
	for _, m := range l.survey.managers {
		if f := m.get("tracing"); f.ok() && !m.outbound {
			l.find("trace-query", f, "requests are traced")
			l.lookAtNames(f)
		}
	}
	for _, r := range l.survey.routes {
		for _, scope := range r.scopes() {
			l.lookAtNames(scope.get("tracing"))
		}
	}
}

// lookAtNames looks at how spans are called.
func (l *linter) lookAtNames(tracing node) {
	for _, name := range []string{"operation", "upstream_operation"} {
		f := tracing.get(name)
		for _, t := range l.told(f.text()) {
			if t.credential {
				l.find("trace-credential", f, t.operator+" tells the key")
			}
		}
	}
}

// isText reports whether an access log of this type has a format, and one by default.
func isText(name string) bool {
	for _, kind := range []string{".FileAccessLog", ".StdoutAccessLog", ".StderrAccessLog"} {
		if strings.HasSuffix(name, kind) {
			return true
		}
	}
	return false
}

// operator is a command of a format: %REQ(X?Y):9%.
var operator = regexp.MustCompile(`%([A-Z_]+)(?:\(([^%]*?)\))?(?::\d+)?%`)

// telling is a command of a format that tells what others mustn't read.
type telling struct {
	operator          string
	credential, query bool
}

// lookAtFormats looks at every text within a value for commands that tell secrets.
func (l *linter) lookAtFormats(n node, credential string) {
	n.within(func(_ string, n node) bool {
		for _, t := range l.told(n.text()) {
			if t.credential {
				l.find(credential, n, t.operator+" tells the key")
			}
			if t.query {
				l.find("log-query", n, t.operator+" tells the query")
			}
		}
		return true
	})
}

// told are the commands in a text that tell secrets.
func (l *linter) told(text string) (all []telling) {
	for _, found := range operator.FindAllStringSubmatch(text, -1) {
		t := telling{operator: found[0]}
		switch argument := strings.ToLower(found[2]); found[1] {
		case "REQ", "REQUEST_HEADER", "REQ_WITHOUT_QUERY":
			t.credential = slices.ContainsFunc(strings.Split(argument, "?"), l.isCredential)
			t.query = found[1] != "REQ_WITHOUT_QUERY" && (strings.Contains(argument, ":path") || strings.Contains(argument, "x-envoy-original-path"))
		case "PATH":
			t.query = !strings.HasPrefix(argument, "nq")
		case "QUERY_PARAM", "QUERY_PARAMS":
			t.query = true
		case "CEL", "COALESCE":
			t.credential = slices.ContainsFunc(slices.Concat(likely, l.reads.Credentials), func(name string) bool {
				return strings.Contains(argument, "'"+name+"'") || strings.Contains(argument, `"`+name+`"`)
			})
			t.query = !t.credential && slices.ContainsFunc([]string{"request.path", "request.query", ":path", "query_param"}, func(what string) bool { return strings.Contains(argument, what) })
		}
		if t.credential || t.query {
			all = append(all, t)
		}
	}
	return all
}
