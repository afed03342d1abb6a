// Package lint finds what would open a hole in the configuration of an Envoy that asks Latchkey: requests that are not asked
// about, that reach the API as something else than was asked about, or whose keys end up where others read them.
//
// It reads whatever people have at hand: a bootstrap, the answer of Envoy's /config_dump, or a fragment such as a listener, a
// connection manager, a route configuration or the filter. Fields may be spelt in snake_case or in lowerCamelCase, as Envoy
// itself takes them. What it doesn't know it passes by; it never asks whether Envoy would take the configuration, which
// `envoy --mode validate` answers.
//
// [Rules] is the table of rules. A file rules_*.go holds those of one subject, and what finds them; filters.go knows what Envoy's
// filters do, and ways.go where its routes and connections lead.
package lint

import (
	"cmp"
	"errors"
	"slices"

	"github.com/latchkey/latchkey/envoyconf"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

// ErrNothing is returned for a document that holds nothing of Envoy's configuration that a rule is about.
var ErrNothing = errors.New("there is no listener, connection manager, route configuration, cluster or ext_authz filter in it: " +
	"name a bootstrap, a config dump, or one of these")

// File returns what is wrong with a document, in the order of the document. Without reads, nil, the rules about headers go by
// the one credential that every policy has unless it says otherwise: authorization.
//
// The error is of type [strictyaml.Mistakes] when the document can't be read, or ErrNothing.
func File(name string, src []byte, reads *envoyconf.Reads) ([]Finding, error) {
	tree, err := strictyaml.ReadTree(name, src)
	if err != nil {
		return nil, err
	}
	l := &linter{file: name, reads: envoyconf.Reads{Credentials: []string{"authorization"}}}
	if reads != nil {
		l.reads, l.policies = *reads, true
	}
	l.survey.walk(node{Tree: tree}, "", place{})
	if !l.survey.any() {
		return nil, ErrNothing
	}
	l.survey.link()
	for _, look := range []func(*linter){
		lookAtChecks, lookAtHeaders, lookAtKeys, lookAtFacts, lookAtChains, lookAtConnections, lookAtManagers, lookAtRoutes, lookAtReplies,
		lookAtLogs, lookAtClusters, lookAtAdmin,
	} {
		look(l)
	}
	slices.SortStableFunc(l.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Rule, b.Rule))
	})
	return slices.CompactFunc(l.found, func(a, b Finding) bool { return a == b }), nil
}

// linter is one document under the rules.
type linter struct {
	file     string
	reads    envoyconf.Reads
	policies bool // reads are those of policies, and not a guess
	survey   survey
	guarded  map[string]bool // clusters that routes lead to, and whether Latchkey is asked first; nil until it is needed
	found    []Finding
}

// find records that a rule found something at a place.
func (l *linter) find(id string, at node, message string) { l.findAs(id, "", at, message) }

// findAs is find with another severity than the rule's; empty for the rule's.
func (l *linter) findAs(id string, severity Severity, at node, message string) {
	r := ruleOf(id)
	l.found = append(l.found, Finding{
		Rule: id, Severity: cmp.Or(severity, r.Severity), File: l.file, Line: at.Line, Column: at.Column, Path: at.path,
		Message: message, Why: r.Why, Fix: r.Fix,
	})
}
