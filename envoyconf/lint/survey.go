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
}

// manager is an HTTP connection manager.
type manager struct {
	node
	listener node
	filters  []filter
	guard    int  // index of the filter that asks Latchkey, or -1
	outbound bool // it is for requests that begin here, which bring no key
}

// filter is an item of http_filters.
type filter struct {
	node
	kind   string // part of the type's name after filters.http: lua, router
	config node
}

// check is an ext_authz filter, or the message of one.
type check struct {
	node
	manager *manager // nil in a fragment
}

// routes is a RouteConfiguration with the managers that go by it.
type routes struct {
	node
	managers []*manager
}

// place is what a value stands in.
type place struct {
	listener node
	manager  *manager
	weighted bool
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
	case (key == "access_log" || key == "accessLog") && n.get("typed_config").ok():
		s.logs = append(s.logs, n.get("typed_config"))
	case key == "admin" && n.get("address").ok():
		s.admins = append(s.admins, n)
	}
	for name, value := range n.members() {
		if name == "custom_tags" || name == "customTags" {
			s.tags = append(s.tags, value.items()...)
		}
		inside := in
		inside.weighted = in.weighted || name == "weighted_clusters" || name == "weightedClusters"
		s.walk(value, name, inside)
	}
}

func (s *survey) manager(n node, in place) *manager {
	m := &manager{node: n, listener: in.listener}
	m.outbound = in.listener.get("traffic_direction").text() == "OUTBOUND"
	m.filters = filtersOf(n)
	m.guard = slices.IndexFunc(m.filters, func(f filter) bool { return f.kind == "ext_authz" || holdsCheck(f.node) })
	s.managers = append(s.managers, m)
	return m
}

// filtersOf are the http_filters of a message.
func filtersOf(n node) (filters []filter) {
	for _, f := range n.get("http_filters").items() {
		name, config := f.get("typed_config").typed()
		// A control plane that hands in the settings later says what they are of.
		for _, later := range f.get("config_discovery", "type_urls").items() {
			name = afterSlash(later.text())
		}
		_, kind, _ := strings.Cut(name, "filters.http.")
		kind, _, _ = strings.Cut(kind, ".")
		filters = append(filters, filter{f, kind, config})
	}
	return filters
}

// link joins managers with the routes that they get by name.
func (s *survey) link() {
	for _, m := range s.managers {
		name := m.get("rds", "route_config_name").text()
		for _, r := range s.routes {
			if name != "" && r.get("name").text() == name && !slices.Contains(r.managers, m) {
				r.managers = append(r.managers, m)
			}
		}
	}
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
