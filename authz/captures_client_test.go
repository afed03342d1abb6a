package authz

import (
	"bytes"
	"strings"
	"testing"
)

// sent is what a client wrote, before any Envoy looked at it.
type sent struct {
	http2   bool
	method  string
	target  string // as it stands in the request line or in :path
	host    string
	headers []field
}

type field struct{ name, value string }

// parseClient reads a .client file.
func parseClient(t *testing.T, text []byte) sent {
	t.Helper()
	if rest, ok := bytes.CutPrefix(text, []byte("HTTP/2 HEADERS:\n")); ok {
		return parseHTTP2(string(rest))
	}
	return parseHTTP1(t, string(text))
}

func parseHTTP2(text string) sent {
	s := sent{http2: true}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "DATA:") {
			break
		}
		at := strings.Index(line[1:], ":") + 1
		name, value := line[:at], strings.TrimPrefix(line[at+1:], " ")
		switch name {
		case ":method":
			s.method = value
		case ":path":
			s.target = value
		case ":authority":
			s.host = value
		case ":scheme", ":protocol":
		default:
			s.headers = append(s.headers, field{name, value})
		}
	}
	return s
}

// parseHTTP1 reads a request as RFC 9112 has it, and as Envoy does where that
// leaves a choice: a folded line is joined with one space, a bare CR is dropped.
func parseHTTP1(t *testing.T, text string) sent {
	t.Helper()
	head, _, ok := strings.Cut(text, "\r\n\r\n")
	if !ok {
		t.Fatal("the head doesn't end")
	}
	lines := strings.Split(head, "\r\n")
	var s sent
	words := strings.Split(lines[0], " ")
	if len(words) != 3 {
		t.Fatalf("request line %q", lines[0])
	}
	s.method, s.target = words[0], words[1]
	hosts := []string{}
	for _, line := range lines[1:] {
		if rest := strings.TrimLeft(line, " \t"); rest != line {
			last := &s.headers[len(s.headers)-1]
			last.value += " " + rest
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.Trim(strings.ReplaceAll(value, "\r", ""), " \t")
		if strings.EqualFold(name, "host") {
			hosts = append(hosts, value)
			continue
		}
		s.headers = append(s.headers, field{strings.ToLower(name), value})
	}
	s.host = strings.Join(hosts, ",")
	if s.method == "CONNECT" { // the target is a host, and there is no path
		s.host, s.target = s.target, ""
	}
	// The absolute form overrides Host, without its user.
	if _, rest, ok := strings.Cut(s.target, "://"); ok {
		authority, path, _ := strings.Cut(rest, "/")
		s.host, s.target = authority[strings.LastIndex(authority, "@")+1:], "/"+path
	}
	return s
}

// values returns the values of a header, in order.
func (s sent) values(name string) []string {
	var all []string
	for _, h := range s.headers {
		if h.name == name {
			all = append(all, h.value)
		}
	}
	return all
}
