package envoytest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// adminClient never goes through a proxy: the admin interface is on this machine.
var adminClient = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true},
	Timeout:   30 * time.Second,
}

// get reads one page of the admin interface.
func (e *Envoy) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.admin+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := adminClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("envoy's %s answered %s: %.200s", path, resp.Status, body)
	}
	return body, nil
}

func (e *Envoy) listenerAddrs(ctx context.Context) (map[string]string, error) {
	body, err := e.get(ctx, "/listeners?format=json")
	if err != nil {
		return nil, err
	}
	var page struct {
		Statuses []struct {
			Name  string `json:"name"`
			Local struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("envoy's /listeners: %w", err)
	}
	addrs := map[string]string{}
	for _, s := range page.Statuses {
		if a := s.Local.Socket; a.Port != 0 {
			addrs[s.Name] = net.JoinHostPort(a.Address, strconv.Itoa(a.Port))
		}
	}
	return addrs, nil
}

// Stats returns the counters and gauges whose whole name matches a regular
// expression, such as `http\.plain\.ext_authz\..*`.
func (e *Envoy) Stats(ctx context.Context, pattern string) (map[string]uint64, error) {
	query := url.Values{"format": {"json"}, "filter": {"^(" + pattern + ")$"}}
	body, err := e.get(ctx, "/stats?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("envoytest: %w", err)
	}
	var page struct {
		Stats []struct {
			Name  string          `json:"name"`
			Value json.RawMessage `json:"value"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("envoytest: envoy's /stats: %w", err)
	}
	stats := map[string]uint64{}
	for _, s := range page.Stats {
		// Histograms and text read-outs have no single number.
		if n, err := strconv.ParseUint(string(s.Value), 10, 64); err == nil && s.Name != "" {
			stats[s.Name] = n
		}
	}
	return stats, nil
}

// Stat returns one counter or gauge by its full name, such as
// http.hardened.ext_authz.denied. One that does not exist is an error.
func (e *Envoy) Stat(ctx context.Context, name string) (uint64, error) {
	stats, err := e.Stats(ctx, regexp.QuoteMeta(name))
	if err != nil {
		return 0, err
	}
	n, ok := stats[name]
	if !ok {
		return 0, fmt.Errorf("envoytest: envoy has no statistic %q: see http://%s/stats", name, e.admin)
	}
	return n, nil
}

// Healthy returns how many hosts of a cluster Envoy sends requests to, by what it knows
// of their health.
func (e *Envoy) Healthy(ctx context.Context, cluster string) (int, error) {
	body, err := e.get(ctx, "/clusters?format=json")
	if err != nil {
		return 0, err
	}
	var page struct {
		Clusters []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Health map[string]any `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return 0, fmt.Errorf("envoytest: clusters: %w", err)
	}
	for _, c := range page.Clusters {
		if c.Name != cluster {
			continue
		}
		healthy := 0
		for _, host := range c.Hosts {
			// Each flag that is there says what is wrong; this one says what somebody else thinks.
			if len(host.Health) == 1 && host.Health["eds_health_status"] == "HEALTHY" {
				healthy++
			}
		}
		return healthy, nil
	}
	return 0, fmt.Errorf("envoytest: there is no cluster %q", cluster)
}
