package lint

import (
	"slices"
	"strings"
)

// routes is a RouteConfiguration with the managers that go by it.
type routes struct {
	node
	managers []*manager
}

// guarded reports whether Latchkey is asked by a manager that goes by these routes.
func (r *routes) guarded() bool {
	return slices.ContainsFunc(r.managers, func(m *manager) bool { return m.guard >= 0 })
}

// isAfter reports whether a filter of this name stands behind the check, for a manager that goes by these routes.
func (r *routes) isAfter(name string) bool {
	return r.hasFilter(name, chain.after)
}

// isBefore is isAfter for filters in front of it.
func (r *routes) isBefore(name string) bool {
	return r.hasFilter(name, chain.before)
}

func (r *routes) hasFilter(name string, side func(chain) []filter) bool {
	for _, m := range r.managers {
		for _, c := range m.chains() {
			if slices.ContainsFunc(side(c), func(f filter) bool { return f.get("name").text() == name }) {
				return true
			}
		}
	}
	return false
}

// scopes are all that may have settings of its own: the routes together, each virtual host, each route and each cluster that
// takes a share.
func (r *routes) scopes() []node {
	all := []node{r.node}
	for _, host := range r.get("virtual_hosts").items() {
		all = append(all, host)
		for _, route := range host.get("routes").items() {
			all = append(all, route)
			all = append(all, route.get("route", "weighted_clusters", "clusters").items()...)
		}
	}
	return all
}

// override is what a scope says of a filter, wrapping messages taken off. A filter is known by its name in http_filters, which
// may be any, where its settings don't say what they are of.
type override struct {
	name     string
	at       node
	kind     string // the type of the settings
	settings node
	disabled bool
}

// overrides are what a scope says of filters.
func (n node) overrides() (all []override) {
	for name, at := range n.get("typed_per_filter_config").members() {
		o := override{name: name, at: at}
		o.kind, o.settings = at.typed()
		if strings.HasSuffix(o.kind, ".FilterConfig") {
			o.disabled = o.settings.get("disabled").isTrue()
			if config := o.settings.get("config"); config.ok() {
				o.kind, o.settings = config.typed()
				if !o.disabled {
					o.at = config
				}
			}
		}
		all = append(all, o)
	}
	return all
}
