package lint

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/envoyconf"
)

// clusterRules are about how Envoy reaches Latchkey.
var clusterRules = []Rule{
	{
		"panic-threshold", Warning, "a Latchkey that says it can't decide is asked all the same",
		"with most of its endpoints unwell, and one endpoint is all of them, Envoy panics: it asks whoever there is",
		"set common_lb_config.healthy_panic_threshold to { value: 0 }",
	},
	{
		"health-check", Warning, "an outage is noticed by the requests that it costs",
		"without a health check every request tries, and waits for, a Latchkey that isn't there or can't decide",
		"add health_checks with grpc_health_check: { service_name: envoy.service.auth.v3.Authorization }",
	},
	{
		"small-limits", Warning, "a burst of requests is refused, or passes where failure_mode_allow is on",
		"above max_requests and max_pending_requests, by default 1024, Envoy doesn't ask and takes that for no answer",
		"set circuit_breakers.thresholds to [{ max_requests: 4096, max_pending_requests: 4096 }]",
	},
	{
		"check-over-http1", Error, "no check can succeed",
		"gRPC needs HTTP/2, which a cluster doesn't speak by itself",
		"set typed_extension_protocol_options with explicit_http_config: { http2_protocol_options: {} }",
	},
	{
		"check-in-clear", Error, "keys cross the network in clear text",
		"each question holds the credential of its request",
		"run Latchkey, or its sidecar, beside Envoy on a Unix socket",
	},
	{
		"cluster-unseen", Note, "nothing that is known",
		"the cluster that the filter asks isn't in this document",
		"look at Envoy's /config_dump, or at a whole bootstrap",
	},
}

// defaultLimit is Envoy's, of requests to a cluster at one time.
const defaultLimit = 1024

func lookAtClusters(l *linter) {
	looked := map[string]bool{}
	for _, c := range l.survey.checks {
		l.lookAtGoogle(c.get("grpc_service", "google_grpc"))
		at := c.get("grpc_service", "envoy_grpc", "cluster_name")
		if !at.ok() || looked[at.text()] {
			continue
		}
		looked[at.text()] = true
		for _, cluster := range l.survey.named[at.text()] {
			l.lookAtCluster(cluster)
		}
		if l.survey.named[at.text()] == nil && len(l.survey.clusters) > 0 {
			l.find("cluster-unseen", at, "the cluster "+at.text()+" isn't here")
		}
	}
	// Without a filter a lone cluster must be the one that people ask about.
	if len(l.survey.checks) == 0 && len(l.survey.managers) == 0 && len(l.survey.clusters) == 1 {
		l.lookAtCluster(l.survey.clusters[0])
	}
}

// lookAtGoogle looks at how Google's gRPC reaches Latchkey, which needs no cluster.
func (l *linter) lookAtGoogle(service node) {
	target := service.get("target_uri")
	host := strings.TrimPrefix(target.text(), "dns:///")
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if target.ok() && !strings.HasPrefix(target.text(), "unix:") && !envoyconf.IsLoopback(host) && !service.get("channel_credentials", "ssl_credentials").ok() {
		l.find("check-in-clear", target, "Latchkey is asked at "+target.text()+" without TLS")
	}
}

func (l *linter) lookAtCluster(c node) {
	// A config dump leaves zeros out.
	if threshold := c.get("common_lb_config", "healthy_panic_threshold"); !threshold.ok() {
		l.find("panic-threshold", c, "healthy_panic_threshold is not set, which means 50 %")
	} else if v, ok := threshold.get("value").number(); ok && v != 0 {
		l.find("panic-threshold", threshold, "healthy_panic_threshold is not 0")
	}
	if !slices.ContainsFunc(c.get("health_checks").items(), func(h node) bool { return h.get("grpc_health_check").Tree != nil }) {
		l.find("health-check", c, "there is no gRPC health check")
	}
	l.lookAtLimits(c)
	options := c.get("typed_extension_protocol_options", "envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
	if c.get("http2_protocol_options").Tree == nil && options.get("explicit_http_config", "http2_protocol_options").Tree == nil &&
		!options.get("use_downstream_protocol_config").ok() && !options.get("auto_config").ok() {
		l.find("check-over-http1", c, "the cluster speaks HTTP/1")
	}
	if c.get("transport_socket").ok() || c.get("transport_socket_matches").ok() {
		return
	}
	for _, locality := range c.get("load_assignment", "endpoints").items() {
		for _, endpoint := range locality.get("lb_endpoints").items() {
			at := endpoint.get("endpoint", "address", "socket_address", "address")
			if at.ok() && !envoyconf.IsLoopback(at.text()) {
				l.find("check-in-clear", at, "Latchkey is asked at "+at.text()+" without TLS")
			}
		}
	}
}

func (l *linter) lookAtLimits(c node) {
	at := c.get("circuit_breakers")
	limits := map[string]float64{"max_requests": defaultLimit, "max_pending_requests": defaultLimit}
	for _, t := range at.get("thresholds").items() {
		if priority := t.get("priority").text(); priority != "" && priority != "DEFAULT" {
			continue
		}
		for name := range limits {
			if v, ok := t.get(name).number(); ok {
				limits[name] = v
			}
		}
	}
	if !at.ok() {
		at = c
	}
	var small []string
	for _, name := range []string{"max_requests", "max_pending_requests"} {
		if limits[name] <= defaultLimit {
			small = append(small, fmt.Sprintf("%s is %g", name, limits[name]))
		}
	}
	if len(small) > 0 {
		l.find("small-limits", at, strings.Join(small, ", "))
	}
}
