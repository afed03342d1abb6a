package lint

import (
	"fmt"
	"slices"
)

// Severity is how much a finding matters.
type Severity string

// The severities.
const (
	// Error: requests pass unchecked, forged, or as something else than was checked; or keys are handed to others.
	Error Severity = "error"
	// Warning: a protection is off, a secret may end up in a log, or an outage grows.
	Warning Severity = "warning"
	// Note: something that can't be seen from here, or is well known to have a better way.
	Note Severity = "note"
)

// Rule is one thing that must not be in a configuration.
type Rule struct {
	ID       string
	Severity Severity // of most of its findings
	Opens    string   // what somebody can do who finds it, in a few words
	Why      string
	Fix      string
}

// Finding is a rule that found something.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	// Path leads to the place: static_resources.listeners[0].filter_chains[0]; empty for the whole document.
	Path    string `json:"path"`
	Message string `json:"message"`
	Why     string `json:"why"`
	Fix     string `json:"fix"`
}

// Rules returns all rules, those of one subject together.
func Rules() []Rule {
	return slices.Concat(checkRules, headerRules, keyRules, factRules, chainRules, bytesRules, managerRules, routeRules, replyRules, logRules, clusterRules, adminRules)
}

func ruleOf(id string) Rule {
	all := Rules()
	i := slices.IndexFunc(all, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		panic(fmt.Sprintf("lint: there is no rule %q", id))
	}
	return all[i]
}
