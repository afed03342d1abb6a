package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey/latchkey/policy"
)

// labelsOf are the labels of each metric that a document has, and how many histograms there are among them.
func labelsOf(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for document, heads := range map[string][]string{
		metricsDocument:      {"metric", "metric of a hub", "metric of a sidecar", "metric of a configuration file", "metric of the decision log", "metric of tracing"},
		"docs/operations.md": {"metric"},
	} {
		for _, head := range heads {
			for _, row := range tableOf(t, document, head) {
				labels := strings.Fields(row[2])
				all[row[0]] = labels
				if row[1] == "histogram" {
					all[row[0]+"_count"], all[row[0]+"_bucket"] = labels, append(slices.Clone(labels), "le")
				}
			}
		}
	}
	// Of the libraries, what is used here.
	all["process_resident_memory_bytes"], all["process_cpu_seconds_total"] = nil, nil
	return all
}

var (
	selector  = regexp.MustCompile(`\b((?:latchkey|process|go)_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher   = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"([^"]*)"`)
	by        = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	interval  = regexp.MustCompile(`\[[^]]*\]`)
	variables = regexp.MustCompile(`^\$\w+$`)
)

// query compares a query with the metrics that there are.
func query(t *testing.T, where, text string, known map[string][]string) (named int) {
	t.Helper()
	text = interval.ReplaceAllString(text, "")
	labels := []string{"instance"}
	for _, found := range selector.FindAllStringSubmatch(text, -1) {
		named++
		of, ok := known[found[1]]
		if !ok {
			t.Errorf("%s: there is no metric %s", where, found[1])
		}
		labels = append(labels, of...)
		for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
			if m[1] != "instance" && !slices.Contains(of, m[1]) {
				t.Errorf("%s: %s has no label %s", where, found[1], m[1])
			}
			for _, value := range strings.Split(m[3], "|") {
				if m[1] == "reason" && !slices.ContainsFunc(append(policy.Reasons(), policy.Undecided), func(r policy.Reason) bool { return r.String() == value }) {
					t.Errorf("%s: there is no reason %s", where, value)
				}
				if strings.Contains(value, "$") && !variables.MatchString(value) {
					t.Errorf("%s: %s is no variable", where, value)
				}
			}
		}
	}
	for _, found := range by.FindAllStringSubmatch(text, -1) {
		for _, label := range strings.Split(found[1], ", ") {
			if !slices.Contains(labels, label) {
				t.Errorf("%s: no metric of the query has the label %s", where, label)
			}
		}
	}
	return named
}

// TestDashboard: each panel asks for metrics that there are, of the data source that is chosen, and stands beside the others.
func TestDashboard(t *testing.T) {
	var board struct {
		Panels []struct {
			ID         int
			Type       string
			Title      string
			Datasource struct{ UID string }
			GridPos    struct{ X, Y, W, H int }
			Targets    []struct {
				Expr       string
				Datasource struct{ UID string }
			}
		}
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
			}
		}
		UID string
	}
	if err := json.Unmarshal([]byte(readDocument(t, "dashboards/latchkey.json")), &board); err != nil {
		t.Fatal(err)
	}
	if board.UID != "" {
		t.Error("it has an id of its own, by which it would take another's place")
	}
	known := labelsOf(t)
	for _, v := range board.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			text, _ := q["query"].(string)
			query(t, "the variable "+v.Name, text, known)
		}
	}
	ids, taken, queries := map[int]bool{}, map[[2]int]string{}, 0
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("%s: its id is another's", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s stands on %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: it asks %q, %d times", p.Title, p.Datasource.UID, len(p.Targets))
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || query(t, p.Title, target.Expr, known) == 0 {
				t.Errorf("%s: %q asks %q for no metric", p.Title, target.Expr, target.Datasource.UID)
			}
			queries++
		}
	}
	if queries < 20 {
		t.Errorf("there are %d queries", queries)
	}
}

// TestAlerts: each is by metrics that there are, and says how bad it is, what it means and what to do.
func TestAlerts(t *testing.T) {
	type rule struct {
		Alert, Expr, For    string
		Labels, Annotations map[string]string
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	d := yaml.NewDecoder(strings.NewReader(readDocument(t, "alerts/latchkey.yaml")))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	known, names := labelsOf(t), map[string]bool{}
	said := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if !strings.HasPrefix(r.Alert, "Latchkey") || names[r.Alert] {
				t.Errorf("%q is no name of its own", r.Alert)
			}
			names[r.Alert] = true
			if query(t, r.Alert, r.Expr, known) == 0 {
				t.Errorf("%s asks for no metric", r.Alert)
			}
			if keys := slices.Sorted(maps.Keys(r.Annotations)); !slices.Equal(keys, []string{"description", "summary"}) {
				t.Errorf("%s is annotated with %v", r.Alert, keys)
			}
			if s := r.Labels["severity"]; s != "critical" && s != "warning" || len(r.Labels) != 1 {
				t.Errorf("%s has the labels %v", r.Alert, r.Labels)
			}
			// What an aggregation leaves out can't be told.
			kept := by.FindStringSubmatch(r.Expr)
			for _, label := range said.FindAllStringSubmatch(r.Annotations["summary"]+r.Annotations["description"], -1) {
				if kept != nil && !slices.Contains(strings.Split(kept[1], ", "), label[1]) {
					t.Errorf("%s tells the label %s, which its query leaves out", r.Alert, label[1])
				}
			}
		}
	}
	if len(names) < 10 {
		t.Errorf("there are %d alerts", len(names))
	}
}
