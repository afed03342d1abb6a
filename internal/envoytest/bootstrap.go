package envoytest

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// Bootstrap renders the complete configuration of an Envoy as YAML that can be kept
// as a file: `envoy --config-path FILE` serves it. Equal configs give equal bytes.
func Bootstrap(cfg Config) ([]byte, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := bootstrapTemplate.Execute(&out, newView(cfg)); err != nil {
		return nil, fmt.Errorf("envoytest: render the bootstrap: %w", err)
	}
	return out.Bytes(), nil
}

//go:embed bootstrap.yaml.tmpl
var bootstrapText string

var bootstrapTemplate = template.Must(template.New("bootstrap").Funcs(template.FuncMap{
	"q":       quote,
	"seconds": seconds,
}).Parse(bootstrapText))

// view is what the template sees: a Config with everything decided.
type view struct {
	Admin     *address
	Listeners []listenerView
	AccessLog string
	Cases     bool
	// AllowedHeaders and MutableHeaders are for hardened listeners.
	AllowedHeaders []string
	MutableHeaders string

	AuthzSocket    string
	AuthzSockets   []string // of hardened listeners
	CheckRetries   int
	AuthzPlain     bool
	AuthzHardened  bool
	CheckTimeout   time.Duration
	HealthInterval time.Duration
	Unhealthy      int // health checks in a row
	CloseDelay     time.Duration
	Upstreams      []upstreamView
	GRPC           bool
	Traces         bool
}

type listenerView struct {
	Name         string
	Hardened     bool
	Address      address
	Cluster      string
	Extensions   []pair
	VirtualHosts []virtualHost
}

type virtualHost struct {
	Name, Domain string
	Routes       []routeView
}

type routeView struct {
	Prefix     string
	Cluster    string
	GRPC       bool
	Extensions []pair
}

type upstreamView struct {
	Name    string
	Type    string
	HTTP2   bool
	Address address
}

type address struct {
	Host string
	Port int
}

type pair struct{ Key, Value string }

// The clusters of the authorization server. They differ in how Envoy treats a server
// that is not well, so each profile has its own.
const (
	clusterHardened = "latchkey"
	clusterPlain    = "latchkey_plain"
	clusterUpstream = "upstream"
	clusterGRPC     = "upstream_grpc"
	clusterTraces   = "traces"
)

// alwaysAllowed are the headers that Latchkey reads whatever the policy says.
var alwaysAllowed = []string{
	"authorization", ":authority", ":method", ":path", ":scheme", "content-type",
	"x-request-id", "origin", "access-control-request-method",
}

func newView(cfg Config) view {
	v := view{
		AccessLog:      cfg.AccessLog,
		Cases:          cfg.cases,
		AuthzSocket:    cfg.AuthzSocket,
		AuthzSockets:   append([]string{cfg.AuthzSocket}, cfg.MoreAuthzSockets...),
		CheckRetries:   cfg.CheckRetries,
		CheckTimeout:   cfg.CheckTimeout,
		HealthInterval: cfg.HealthInterval,
		Unhealthy:      cfg.UnhealthyThreshold,
		CloseDelay:     cfg.CloseDelay,
		GRPC:           cfg.GRPCUpstream != "",
		Upstreams:      []upstreamView{newUpstreamView(clusterUpstream, cfg.Upstream, false)},
	}
	if cfg.Admin != "" {
		a := mustAddress(cfg.Admin)
		v.Admin = &a
	}
	if v.GRPC {
		v.Upstreams = append(v.Upstreams, newUpstreamView(clusterGRPC, cfg.GRPCUpstream, true))
	}
	if v.Traces = cfg.Traces != ""; v.Traces {
		v.Upstreams = append(v.Upstreams, newUpstreamView(clusterTraces, cfg.Traces, true))
	}

	v.AllowedHeaders = slices.Clone(alwaysAllowed)
	mutable := []string{`x-latchkey-.*`, `x_latchkey_.*`, `authorization`}
	for _, h := range cfg.PolicyHeaders {
		if !slices.Contains(v.AllowedHeaders, h) {
			v.AllowedHeaders = append(v.AllowedHeaders, h)
		}
		if m := regexp.QuoteMeta(h); !slices.Contains(mutable, m) {
			mutable = append(mutable, m)
		}
	}
	v.MutableHeaders = "^(" + strings.Join(mutable, "|") + ")$"

	for _, l := range cfg.Listeners {
		lv := listenerView{
			Name:         l.Name,
			Hardened:     l.Profile == Hardened,
			Address:      mustAddress(l.Address),
			Cluster:      clusterPlain,
			Extensions:   pairs(l.Extensions),
			VirtualHosts: virtualHosts(l.Routes, v.GRPC),
		}
		if lv.Hardened {
			lv.Cluster = clusterHardened
			v.AuthzHardened = true
		} else {
			v.AuthzPlain = true
		}
		v.Listeners = append(v.Listeners, lv)
	}
	return v
}

// virtualHosts groups the routes by domain, and sees to it that every host and every
// path has a route.
func virtualHosts(routes []Route, grpc bool) []virtualHost {
	hosts := []virtualHost{}
	host := func(domain string) *virtualHost {
		for i := range hosts {
			if hosts[i].Domain == domain {
				return &hosts[i]
			}
		}
		hosts = append(hosts, virtualHost{Name: "host_" + strconv.Itoa(len(hosts)), Domain: domain})
		return &hosts[len(hosts)-1]
	}
	for _, r := range routes {
		r.Domain = cmp.Or(r.Domain, "*")
		r.Prefix = cmp.Or(r.Prefix, "/")
		h := host(r.Domain)
		h.Routes = append(h.Routes, routeViews(r, grpc)...)
	}
	host("*")
	for i := range hosts {
		h := &hosts[i]
		if n := len(h.Routes); n == 0 || h.Routes[n-1].Prefix != "/" {
			h.Routes = append(h.Routes, routeViews(Route{Prefix: "/"}, grpc)...)
		}
	}
	return hosts
}

func routeViews(r Route, grpc bool) []routeView {
	plain := routeView{Prefix: r.Prefix, Cluster: clusterUpstream, Extensions: pairs(r.Extensions)}
	if !grpc {
		return []routeView{plain}
	}
	toGRPC := plain
	toGRPC.Cluster, toGRPC.GRPC = clusterGRPC, true
	return []routeView{toGRPC, plain}
}

func newUpstreamView(name, addr string, http2 bool) upstreamView {
	u := upstreamView{Name: name, Type: "STATIC", HTTP2: http2, Address: mustAddress(addr)}
	if net.ParseIP(u.Address.Host) == nil {
		u.Type = "STRICT_DNS"
	}
	return u
}

// mustAddress splits an address that withDefaults has accepted.
func mustAddress(addr string) address {
	host, port, err := splitAddr(addr)
	if err != nil {
		panic("envoytest: " + err.Error())
	}
	return address{host, port}
}

func pairs(m map[string]string) []pair {
	out := make([]pair, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pair{k, m[k]})
	}
	return out
}

// quote writes a YAML double-quoted scalar; JSON strings are a subset of those.
func quote(s string) (string, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(s)
	return strings.TrimSuffix(out.String(), "\n"), err
}

// seconds writes a duration as protobuf's JSON form wants it.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}
