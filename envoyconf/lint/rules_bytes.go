package lint

import (
	"slices"
	"strings"
)

// bytesRules are about connections whose bytes are passed on without being read as requests.
var bytesRules = []Rule{{
	"bypass-chain", Warning, "connections that match this filter chain are not asked about",
	"the chain passes bytes on without reading requests, beside one that asks",
	"take the chain out, or give it a listener of its own that strangers can't reach",
}}

// lookAtConnections compares the filter chains of a listener: where one asks, none may pass bytes on, and no other listener may
// pass them on to where one that asks leads.
func lookAtConnections(l *linter) {
	for _, listener := range l.survey.listeners {
		if listener.get("traffic_direction").text() == "OUTBOUND" {
			continue
		}
		chains := chainsOf(listener)
		guarded := slices.ContainsFunc(chains, holdsCheck)
		for _, chain := range chains {
			for _, f := range chain.get("filters").items() {
				l.lookAtNetworkFilter(chain, f, guarded)
			}
		}
	}
}

func (l *linter) lookAtNetworkFilter(chain, f node, guarded bool) {
	config := f.get("typed_config")
	if config.is("SniCluster") && l.survey.guarded() {
		l.find("bypass-chain", chain, "this filter chain passes bytes on to the cluster that the client names as its server")
		return
	}
	all := networkTargets(f)
	for _, t := range all {
		cluster := t.text()
		if cluster == "" || l.leadsNowhere(cluster) {
			continue
		}
		within := l.listenersOf(cluster)
		switch unasked := l.unasked(within); {
		case unasked != "" && l.survey.guarded():
			l.find("bypass-chain", chain, "this filter chain passes bytes on to the listener "+unasked+", which asks nobody")
		case len(within) > 0:
			continue
		case guarded && config.is("TcpProxy"):
			l.find("bypass-chain", chain, "this filter chain is a TCP proxy, and another one of the listener asks Latchkey")
		case l.isGuarded(cluster):
			l.find("bypass-chain", chain, "this filter chain passes bytes on to the cluster "+cluster+", for which another listener asks Latchkey")
		default:
			continue
		}
		return
	}
	if len(all) == 0 && guarded && config.is("TcpProxy") {
		l.find("bypass-chain", chain, "this filter chain is a TCP proxy, and another one of the listener asks Latchkey")
	}
}

// unasked is the name of a listener of these through which requests go on without being asked about; empty where there is none.
func (l *linter) unasked(listeners []node) string {
	for _, m := range l.survey.managers {
		if m.guard < 0 && slices.ContainsFunc(listeners, func(n node) bool { return n.Tree == m.listener.Tree }) && l.wayOf(m) == onward {
			return m.listener.get("name").text()
		}
	}
	return ""
}

// chainsOf are the filter chains of a listener.
func chainsOf(listener node) []node {
	chains := listener.get("filter_chains").items()
	if last := listener.get("default_filter_chain"); last.ok() {
		chains = append(chains, last)
	}
	return chains
}

// connectionTargets are the clusters that connections to a listener are passed on to.
func connectionTargets(listener node) (names []node) {
	for _, chain := range chainsOf(listener) {
		for _, f := range chain.get("filters").items() {
			names = append(names, networkTargets(f)...)
		}
	}
	return names
}

// networkTargets are the clusters that a network filter other than a connection manager names.
func networkTargets(f node) (names []node) {
	name, config := f.get("typed_config").typed()
	if strings.HasSuffix(name, ".TcpProxy") {
		return targets(config)
	}
	config.within(func(field string, n node) bool {
		if field == "cluster" && n.text() != "" {
			names = append(names, n)
		}
		return !n.is("HttpConnectionManager") && !n.get("http_filters").ok()
	})
	return names
}
