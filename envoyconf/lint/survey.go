package lint

import (
	"slices"
	"strings"

	"github.com/latchkey/latchkey/internal/strictyaml"
)

// survey is where in a document the rules have to look.
type survey struct {
	listeners []node
	managers  []*manager
	routes    []*routes
	clusters  []node
	checks    []check
	logs      []node // the message of an access log, with what it is of
	tags      []node // custom tags of tracing
	admins    []node
	counts    []node            // what a rate limit counts requests by: a header
	twice     bool              // the document has a bootstrap, and what is in it once more
	named     map[string][]node // clusters
	asked     map[string]bool   // names of the clusters that filters ask
	listening [][]address       // of the listener of the same index
}

// manager is an HTTP connection manager.
type manager struct {
	node
	chain
	listener node
	upgrades []chain // those of upgrades that have filters of their own
	outbound bool    // it is for requests that begin here, which bring no key
}

// chain is the HTTP filters that a request goes through.
type chain struct {
	filters []filter
	guard   int // index of the filter that asks Latchkey, or -1
}

func chainOf(filters []filter) chain {
	return chain{filters, slices.IndexFunc(filters, func(f filter) bool { return f.kind == "ext_authz" || holdsCheck(f.node) })}
}

// before and after are the filters around the one that asks Latchkey.
func (c chain) before() []filter { return c.filters[:max(c.guard, 0)] }
func (c chain) after() []filter  { return c.filters[c.guard+1:] }

// chains are those of a manager in which Latchkey is asked.
func (m *manager) chains() (asking []chain) {
	for _, c := range append([]chain{m.chain}, m.upgrades...) {
		if c.guard >= 0 {
			asking = append(asking, c)
		}
	}
	return asking
}

// check is an ext_authz filter, or the message of one.
type check struct {
	node
	manager *manager // nil in a fragment
}

// place is what a value stands in.
type place struct {
	listener node
	manager  *manager
	weighted bool
	admin    bool
}

// isQuiet reports whether no request that brings a key is written to an access log in this place: it is of connections, of
// Envoy's own pages, or of what begins here.
func (p place) isQuiet() bool {
	return p.admin || p.listener.ok() && p.manager == nil || p.manager != nil && p.manager.outbound
}

func (s *survey) any() bool {
	return len(s.listeners)+len(s.managers)+len(s.routes)+len(s.clusters)+len(s.checks)+len(s.logs) > 0
}

// walk looks at a value and all within it. key is the name of the field that holds it, or that holds the list it is in.
func (s *survey) walk(n node, key string, in place) {
	if !n.ok() {
		return
	}
	for _, item := range n.items() {
		s.walk(item, key, in)
	}
	if n.Kind != strictyaml.Mapping {
		return
	}
	name, message := n.typed()
	switch kind := name[strings.LastIndexByte(name, '.')+1:]; {
	case kind == "HttpConnectionManager", message.get("http_filters").ok() && name == "":
		in.manager = s.manager(message, in)
	case kind == "ExtAuthz" && strings.Contains(name, ".http.ext_authz."), name == "" && looksLikeCheck(n):
		s.checks = append(s.checks, check{message, in.manager})
	case kind == "Listener", n.get("filter_chains").ok(), n.get("default_filter_chain").ok():
		in.listener = n
		s.listeners = append(s.listeners, n)
	case kind == "RouteConfiguration", n.get("virtual_hosts").ok():
		found := &routes{node: n}
		if in.manager != nil {
			found.managers = []*manager{in.manager}
		}
		s.routes = append(s.routes, found)
	case kind == "Cluster", (key == "clusters" || key == "cluster" || key == "") && !in.weighted && looksLikeCluster(n):
		s.clusters = append(s.clusters, n)
	case key == "" && n.get("configs").ok():
		s.twice = slices.ContainsFunc(n.get("configs").items(), func(n node) bool { return n.is("BootstrapConfigDump") })
	case slices.Contains([]string{"access_log", "upstream_log"}, snake(key)) && n.get("typed_config").ok() && !in.isQuiet():
		s.logs = append(s.logs, n.get("typed_config"))
	case key == "admin" && n.get("address").ok():
		s.admins = append(s.admins, n)
		in.admin = true
	case snake(key) == "request_headers" && n.get("descriptor_key").ok():
		s.counts = append(s.counts, n.get("header_name"))
	}
	for name, value := range n.members() {
		if s.twice && slices.Contains([]string{"static_listeners", "static_clusters", "static_route_configs"}, name) {
			continue
		}
		if snake(name) == "custom_tags" && !in.isQuiet() {
			s.tags = append(s.tags, value.items()...)
		}
		inside := in
		inside.weighted = in.weighted || snake(name) == "weighted_clusters"
		s.walk(value, name, inside)
	}
}

func (s *survey) manager(n node, in place) *manager {
	m := &manager{node: n, listener: in.listener, chain: chainOf(filtersOf(n.get("http_filters")))}
	m.outbound = in.listener.get("traffic_direction").text() == "OUTBOUND"
	for _, upgrade := range n.get("upgrade_configs").items() {
		m.upgrades = append(m.upgrades, chainOf(filtersOf(upgrade.get("filters"))))
	}
	s.managers = append(s.managers, m)
	return m
}

// link joins managers with the routes that they get by name, clusters with their names and listeners with their addresses.
func (s *survey) link() {
	for _, listener := range s.listeners {
		s.listening = append(s.listening, addressesOf(listener))
	}
	s.asked = map[string]bool{}
	for _, c := range s.checks {
		s.asked[c.get("grpc_service", "envoy_grpc", "cluster_name").text()] = true
	}
	delete(s.asked, "")
	s.named = map[string][]node{}
	for _, c := range s.clusters {
		name := c.get("name").text()
		s.named[name] = append(s.named[name], c)
	}
	for _, m := range s.managers {
		name := m.get("rds", "route_config_name").text()
		for _, r := range s.routes {
			if name != "" && r.get("name").text() == name && !slices.Contains(r.managers, m) {
				r.managers = append(r.managers, m)
			}
		}
	}
}

// routesOf are the route configurations that a manager goes by, as far as they are here.
func (s *survey) routesOf(m *manager) (all []*routes) {
	for _, r := range s.routes {
		if slices.Contains(r.managers, m) {
			all = append(all, r)
		}
	}
	return all
}

// guarded reports whether Latchkey is asked by any manager of the document.
func (s *survey) guarded() bool {
	return slices.ContainsFunc(s.managers, func(m *manager) bool { return m.guard >= 0 })
}

// holdsCheck reports whether an ext_authz filter stands in a value, however wrapped.
func holdsCheck(n node) bool {
	if n.is("ExtAuthz") {
		return true
	}
	for _, item := range n.items() {
		if holdsCheck(item) {
			return true
		}
	}
	for _, value := range n.members() {
		if holdsCheck(value) {
			return true
		}
	}
	return false
}

// looksLikeCheck reports whether a message without its type is that of an ext_authz filter.
func looksLikeCheck(n node) bool {
	if !n.get("grpc_service").ok() && !n.get("http_service").ok() {
		return false
	}
	for _, field := range []string{"failure_mode_allow", "status_on_error", "validate_mutations", "encode_raw_headers"} {
		if n.get(field).ok() {
			return true
		}
	}
	return false
}

func looksLikeCluster(n node) bool {
	if !n.get("name").ok() {
		return false
	}
	for _, field := range []string{"load_assignment", "eds_cluster_config", "cluster_type", "connect_timeout", "lb_policy", "circuit_breakers"} {
		if n.get(field).ok() {
			return true
		}
	}
	return false
}
