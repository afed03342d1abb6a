package lint

import (
	"slices"
	"strings"

	"github.com/latchkey/latchkey/envoyconf"
)

// way is where the requests of a connection manager may go.
type way int

const (
	onward   way = iota // to the API, for all that is known
	health              // to where others learn whether something is well
	answered            // nowhere: Envoy answers them by itself
)

// wayOf returns where the requests of a manager may go.
func (l *linter) wayOf(m *manager) way {
	all := l.survey.routesOf(m)
	if len(all) == 0 && m.get("route_config").Tree == nil {
		return onward
	}
	found := answered
	for _, r := range all {
		if r.get("vhds").ok() {
			return onward
		}
		for _, host := range r.get("virtual_hosts").items() {
			if host.get("matcher").ok() {
				return onward
			}
			for _, route := range host.get("routes").items() {
				found = min(found, l.wayOfRoute(route))
			}
		}
	}
	return found
}

func (l *linter) wayOfRoute(route node) way {
	if answersItself(route) {
		return answered
	}
	all := targets(route.get("route"))
	switch {
	case len(all) > 0 && !slices.ContainsFunc(all, func(t node) bool { return len(l.adminsOf(t.text())) == 0 }):
		return answered // see admin-routed
	case isHealthPath(pathOf(route)) && !slices.ContainsFunc(all, func(t node) bool { return l.isGuarded(t.text()) }):
		return health
	}
	return onward
}

// answersItself reports whether a route is answered by Envoy.
func answersItself(route node) bool {
	return route.get("redirect").ok() || route.get("direct_response").ok()
}

// pathOf is the path, or the beginning of paths, that a route is for; empty where it isn't known.
func pathOf(route node) string {
	for _, name := range []string{"path", "prefix", "path_separated_prefix"} {
		if f := route.get("match", name); f.ok() {
			return f.text()
		}
	}
	return ""
}

// isHealthPath reports whether a path tells by its name that it is for who asks how something is.
func isHealthPath(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool {
		return slices.Contains([]string{"health", "healthz", "healthcheck", "ready", "readyz", "live", "livez", "ping", "metrics", "stats"}, segment)
	})
}

// targets are the names of the clusters that an action leads to.
func targets(action node) (names []node) {
	if f := action.get("cluster"); f.ok() {
		names = append(names, f)
	}
	for _, one := range action.get("weighted_clusters", "clusters").items() {
		names = append(names, one.get("name"))
	}
	return names
}

// isGuarded reports whether requests get to a cluster once they were asked about.
func (l *linter) isGuarded(cluster string) bool {
	if l.guarded == nil {
		l.guarded = map[string]bool{}
		for _, r := range l.survey.routes {
			for _, scope := range r.scopes() {
				for _, t := range targets(scope.get("route")) {
					l.guarded[t.text()] = l.guarded[t.text()] || r.guarded()
				}
			}
		}
	}
	return l.guarded[cluster]
}

// address is where something listens, or is asked: the kind, the host and the port, or the path, or the name.
type address struct{ kind, host, port string }

func addressOf(n node) address {
	if s := n.get("socket_address"); s.ok() {
		return address{"socket", s.get("address").text(), s.get("port_value").text()}
	}
	if p := n.get("pipe", "path"); p.ok() {
		return address{"pipe", p.text(), ""}
	}
	if i := n.get("envoy_internal_address", "server_listener_name"); i.ok() {
		return address{"internal", i.text(), ""}
	}
	return address{}
}

// reaches reports whether who asks one address gets to what listens on the other.
func (asked address) reaches(listening address) bool {
	if asked.kind != listening.kind || asked.kind == "" || asked.port != listening.port || asked.port == "0" {
		return false
	}
	everywhere := listening.host == "0.0.0.0" || listening.host == "::"
	here := envoyconf.IsLoopback(asked.host)
	return asked.host == listening.host || asked.kind == "socket" && here && (everywhere || envoyconf.IsLoopback(listening.host))
}

// endpoints are the addresses that a cluster of this document asks.
func (l *linter) endpoints(cluster string) (all []address) {
	for _, c := range l.survey.named[cluster] {
		for _, locality := range c.get("load_assignment", "endpoints").items() {
			for _, e := range locality.get("lb_endpoints").items() {
				all = append(all, addressOf(e.get("endpoint", "address")))
			}
		}
	}
	return all
}

// leadsNowhere reports whether a cluster of this document has no endpoints, and will have none: what is sent there is refused.
func (l *linter) leadsNowhere(cluster string) bool {
	return slices.ContainsFunc(l.survey.named[cluster], func(c node) bool {
		return oneOf(c.get("type"), "", "STATIC") && !c.get("cluster_type").ok() && !c.get("load_assignment").ok()
	})
}

// addressesOf are where a listener listens.
func addressesOf(listener node) []address {
	at := []address{addressOf(listener.get("address"))}
	if listener.get("internal_listener").Tree != nil {
		at = append(at, address{"internal", listener.get("name").text(), ""})
	}
	for _, more := range listener.get("additional_addresses").items() {
		at = append(at, addressOf(more.get("address")))
	}
	return at
}

// listenersOf are those of this document that a cluster leads to.
func (l *linter) listenersOf(cluster string) (all []node) {
	for _, asked := range l.endpoints(cluster) {
		for i, listener := range l.survey.listeners {
			if slices.ContainsFunc(l.survey.listening[i], asked.reaches) {
				all = append(all, listener)
			}
		}
	}
	return all
}

// behindCheck reports whether only requests that were asked about get to a listener: nobody can connect to it but Envoy itself,
// and only routes where Latchkey is asked lead there.
func (l *linter) behindCheck(listener node) bool {
	if listener.get("internal_listener").Tree == nil {
		return false
	}
	leadsHere := func(t node) bool {
		return slices.ContainsFunc(l.listenersOf(t.text()), func(other node) bool { return other.Tree == listener.Tree })
	}
	for _, other := range l.survey.listeners {
		for _, t := range connectionTargets(other) {
			if leadsHere(t) {
				return false
			}
		}
	}
	checked := false
	for _, r := range l.survey.routes {
		for _, scope := range r.scopes() {
			if !slices.ContainsFunc(targets(scope.get("route")), leadsHere) {
				continue
			}
			if !r.guarded() {
				return false
			}
			checked = true
		}
	}
	return checked
}
