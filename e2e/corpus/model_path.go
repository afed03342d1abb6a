package corpus

import "strings"

// target reads the request target: its path with the query, and for an
// absolute form the authority that takes the place of Host.
func (m *envoy) target(t string) (path, authority string) {
	if strings.Contains(t, "#") {
		m.own = []int{400}
		return
	}
	if strings.ContainsAny(t, " \r\n\x00") {
		m.refuse()
		return
	}
	scheme, rest, ok := strings.Cut(t, "://")
	if scheme = strings.ToLower(scheme); ok && m.proto == "h1" && (scheme == "http" || scheme == "https") {
		if scheme == "https" && m.profile == Hardened {
			m.own = []int{403} // the listener is clear text
			return
		}
		end := strings.IndexAny(rest, "/?")
		if end == 0 || strings.Contains(rest[:max(end, 0)], `\`) {
			m.refuse() // no authority, or none that is valid
			return
		}
		if end < 0 {
			return "/", afterUserinfo(rest)
		}
		if rest[end] == '?' {
			m.own = []int{404} // no path, no route
			return
		}
		return rest[end:], afterUserinfo(rest[:end])
	}
	if t == "*" && m.proto == "h1" {
		m.own = []int{404} // no route
		if !m.options {
			m.own = []int{400}
		}
		return
	}
	if !strings.HasPrefix(t, "/") {
		m.refuse()
		return
	}
	return t, ""
}

func afterUserinfo(authority string) string {
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		return authority[i+1:]
	}
	return authority
}

// normalize is what the hardened profile does to a path: refuse escaped
// slashes and NUL, decode what needs no escape, encode what does, make
// backslashes slashes, resolve dot segments, merge slashes. The query stays.
func (m *envoy) normalize(target string) string {
	if m.profile == Plain {
		return target
	}
	path, query, hasQuery := strings.Cut(target, "?")
	lower := strings.ToLower(path)
	for _, refused := range []string{"%2f", "%5c", "%00", "\x00"} {
		if strings.Contains(lower, refused) {
			m.own = []int{400}
			return target
		}
	}
	path = withoutDotParameters(path)
	path = canonical(path)
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	if hasQuery {
		path += "?" + query
	}
	return path
}

// withoutDotParameters drops the parameters of segments that are dots, so that
// "..;a=b" counts as "..".
func withoutDotParameters(path string) string {
	segments := strings.Split(strings.ReplaceAll(path, `\`, "/"), "/")
	for i, s := range segments {
		if name, _, ok := strings.Cut(s, ";"); ok && (name == "." || name == "..") {
			segments[i] = name
		}
	}
	return strings.Join(segments, "/")
}

// canonical resolves dot segments, escaped ones too, and settles escapes.
func canonical(path string) string {
	segments := strings.Split(path[1:], "/")
	var out []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch s = escapes(s); s {
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		case ".":
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

const (
	hexDigits  = "0123456789ABCDEF"
	unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	escaped    = "\" <>^`{|}"
)

// escapes decodes escapes of unreserved characters and encodes bytes that may
// not stand in a path; all other escapes, broken ones too, stay.
func escapes(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			hi, lo := hexValue(s[i+1]), hexValue(s[i+2])
			if d := byte(hi<<4 | lo); hi >= 0 && lo >= 0 && strings.IndexByte(unreserved, d) >= 0 {
				b.WriteByte(d)
				i += 2
				continue
			}
		}
		if c < 0x20 || c >= 0x7f || strings.IndexByte(escaped, c) >= 0 {
			b.WriteString("%" + string(hexDigits[c>>4]) + string(hexDigits[c&15]))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func hexValue(c byte) int { return strings.IndexByte(hexDigits, strings.ToUpper(string(c))[0]) }
