package envoyconf

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/latchkey/latchkey/internal/serve"
)

// Part is how much of a configuration is written.
type Part string

// The parts.
const (
	All      Part = "all"      // a bootstrap that Envoy starts with
	Listener Part = "listener" // where clients connect to, the filter in it
	Filter   Part = "filter"   // the ext_authz filter, an item of http_filters
	Cluster  Part = "cluster"  // how Envoy reaches Latchkey, an item of clusters
)

// Parts are all of them.
var Parts = []Part{All, Listener, Filter, Cluster}

// Write returns a configuration, or a part of it, as YAML. Equal configurations give equal bytes. The error says all that is
// wrong with the configuration.
func Write(c Config, part Part) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	text, err := render(string(part), c)
	return []byte(text), err
}

//go:embed templates/*.yaml.tmpl
var files embed.FS

var templates *template.Template

// Templates that name templates are rendered by a function, so that what they give can be indented.
func init() {
	templates = template.Must(template.New("").Funcs(template.FuncMap{
		"item":    item,
		"part":    render,
		"quote":   quote,
		"seconds": seconds,
		"address": address,
		"kind":    clusterType,
		"prefix":  func() string { return IdentityPrefix },
		"mutable": Reads.Mutable,
		"cluster": newUpstream,
		"join":    strings.Join,
	}).ParseFS(files, "templates/*.yaml.tmpl"))
}

func render(name string, value any) (string, error) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name+".yaml.tmpl", value); err != nil {
		return "", fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	return out.String(), nil
}

// item is text as an item of a list, that many columns from the left.
func item(columns int, text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.Repeat(" ", columns) + map[bool]string{true: "- ", false: "  "}[i == 0] + line
	}
	return strings.Join(lines, "\n")
}

// upstream is a cluster of the API.
type upstream struct {
	Name    string
	Address serve.Address
	HTTP2   bool
}

func newUpstream(name string, at serve.Address, http2 bool) upstream {
	return upstream{name, at, http2}
}

// address is an address in the words of Envoy's configuration.
func address(a serve.Address) (string, error) {
	if a.IsUnix() {
		path, err := quote(strings.TrimPrefix(a.String(), "unix:"))
		return "pipe: { path: " + path + " }", err
	}
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return "", err
	}
	host, err = quote(host)
	return "socket_address: { address: " + host + ", port_value: " + port + " }", err
}

// clusterType is how Envoy finds the endpoints at an address.
func clusterType(a serve.Address) string {
	if a.IsUnix() || net.ParseIP(a.Host()) != nil {
		return "STATIC"
	}
	return "STRICT_DNS"
}

// plain are texts that every reader of YAML takes for the same text.
var plain = regexp.MustCompile(`^[a-z/][a-zA-Z0-9_./-]*$|^\d+\.\d+\.\d+\.\d+$`)

// words that are something else to some reader of YAML.
var words = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null)$`)

// quote writes text as YAML, in double quotes where that is needed: JSON strings are a subset of those.
func quote(text string) (string, error) {
	if plain.MatchString(text) && !words.MatchString(text) {
		return text, nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(text)
	return strings.TrimSuffix(out.String(), "\n"), err
}

// seconds writes a duration as protobuf's JSON form wants it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }
