package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/latchkey/latchkey/bench/proc"
)

// Names of the subjects that others are held against.
const (
	nameNoop      = "noop"
	nameNoopTuned = "noop-tuned"
	nameNoFilter  = "envoy-no-filter"
	nameAPIKey    = "envoy-api-key"
	nameOPA       = "opa"
)

// baselines are held against by all others, where they are measured.
var baselines = []string{nameNoop, nameNoopTuned, nameOPA, nameNoFilter, nameAPIKey}

// mostInConfiguration is how many keys the subjects have that read them from a file.
const mostInConfiguration = 10_000

// filter is what an Envoy does about a request.
type filter string

// The filters.
const (
	filterNone     filter = "none"
	filterAPIKey   filter = "api_key_auth"
	filterExtAuthz filter = "ext_authz"
)

// subject is something that is measured.
type subject struct {
	name  string
	about string
	keys  int
	// joined is for who reads headers only as Envoy joins them.
	joined bool
	filter filter
	// wants says what it is to answer a request.
	wants func(*asking) int
	// start starts its server at an address; nil for those that are an Envoy alone.
	start func(at address) (*proc.Child, error)
}

func anything(*asking) int { return http.StatusOK }

func anyKnownKey(a *asking) int {
	if a.known {
		return http.StatusOK
	}
	return http.StatusUnauthorized
}

// subjects returns all that can be measured here, and says what is left out.
func (b *bench) subjects() ([]*subject, error) {
	few := b.options.keys[0]
	for _, keys := range b.options.keys {
		few = min(few, keys, mostInConfiguration)
	}
	noop := func(args ...string) func(address) (*proc.Child, error) {
		return func(at address) (*proc.Child, error) {
			return b.child("noop", b.self, append([]string{"noop", "-listen", at.String()}, args...)...)
		}
	}
	all := []*subject{
		{name: nameNoop, about: "allows all, grpc-go with its defaults", keys: few, wants: anything, filter: filterExtAuthz, start: noop()},
		{name: nameNoopTuned, about: "the same, with latchkey's server options and memory settings", keys: few, wants: anything, filter: filterExtAuthz, start: noop("-tuned")},
	}
	for _, keys := range b.options.keys {
		store := b.store(keys)
		all = append(all, &subject{
			name: fmt.Sprintf("%s%d", latchkeyPrefix, keys), about: fmt.Sprintf("latchkey serve, kodey policy, %d keys", keys),
			keys: keys, wants: (*asking).status, filter: filterExtAuthz,
			start: func(at address) (*proc.Child, error) { return b.startLatchkey(store, at) },
		})
	}
	if b.options.opa == "" {
		b.skip(nameOPA, "no binary of OPA's Envoy plugin: give one by -opa")
	} else {
		if err := b.writeOPA(few); err != nil {
			return nil, err
		}
		all = append(all, &subject{
			name: nameOPA, about: fmt.Sprintf("OPA's Envoy plugin, the same rules in Rego, %d keys", few), keys: few, joined: true,
			wants: (*asking).status, filter: filterExtAuthz, start: b.startOPA,
		})
	}
	return append(
		all,
		&subject{name: nameNoFilter, about: "Envoy alone, without a filter", keys: few, wants: anything, filter: filterNone},
		&subject{name: nameAPIKey, about: fmt.Sprintf("Envoy's own api_key_auth, %d keys, no scopes", few), keys: few, wants: anyKnownKey, filter: filterAPIKey},
	), nil
}

const latchkeyPrefix = "latchkey-"

func isLatchkey(subject string) bool { return strings.HasPrefix(subject, latchkeyPrefix) }
