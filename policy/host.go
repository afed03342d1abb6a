package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Keys of an Envoy route's context_extensions. They come from the Envoy
// configuration, so no client can set them, and they win over the host.
const (
	ExtensionPolicy      = "latchkey.policy"
	ExtensionEnvironment = "latchkey.environment"
)

// Place is where a request was sent: a policy, and the environment that the
// host or the Envoy route stands for.
type Place struct {
	Policy      *Policy
	Environment string // empty: open, the key's environment decides
	Unknown     bool   // it can't be told, or the Envoy route names one that the policy hasn't
}

// Policies is the policies in use, by name and by host. It is immutable.
type Policies struct {
	names  []string
	byName map[string]*Policy
	exact  map[string]Place
	suffix map[string]Place // by what follows the `*` of `*.suffix`

	staleness time.Duration // the most lenient key type's; 0: without limit
	strictest time.Duration // the strictest key type's; 0: none says anything
}

// NewPolicies puts policies together. It fails where two of them have one
// name or claim one host.
func NewPolicies(all ...*Policy) (*Policies, error) {
	ps := &Policies{byName: map[string]*Policy{}, exact: map[string]Place{}, suffix: map[string]Place{}, staleness: mostLenient(all), strictest: strictest(all)}
	for _, p := range all {
		if ps.byName[p.name] != nil {
			return nil, fmt.Errorf("two policies are called %q: give each its own name", p.name)
		}
		ps.byName[p.name] = p
		ps.names = append(ps.names, p.name)
		for _, c := range p.claims {
			claims, name := ps.exact, c.host
			if rest, ok := strings.CutPrefix(c.host, "*"); ok {
				claims, name = ps.suffix, rest
			}
			if other, ok := claims[name]; ok {
				return nil, fmt.Errorf("the policies %q and %q both claim the host %s: a host belongs to one policy", other.Policy.name, p.name, c.host)
			}
			claims[name] = Place{Policy: p, Environment: c.environment}
		}
	}
	slices.Sort(ps.names)
	return ps, nil
}

// Names returns the names of the policies, sorted.
func (ps *Policies) Names() []string { return slices.Clone(ps.names) }

// Get returns the policy of that name, or nil.
func (ps *Policies) Get(name string) *Policy { return ps.byName[name] }

// Find returns where a request was sent, by its Host as Envoy has it and by
// the extensions of the Envoy route. It fails where no policy is meant.
func (ps *Policies) Find(host string, extensions map[string]string) (Place, bool) {
	place, ok := ps.byHost(host)
	if name, pinned := extensions[ExtensionPolicy]; pinned {
		p := ps.byName[name]
		if p == nil {
			return Place{}, false
		}
		if !ok || place.Policy != p {
			// Where hosts tell the environments apart, a host that tells none
			// leaves open which it is: the Envoy route must say.
			place, ok = Place{Policy: p, Unknown: p.bound}, true
		}
	}
	if !ok {
		return Place{}, false
	}
	if environment, pinned := extensions[ExtensionEnvironment]; pinned {
		place.Environment = environment
		place.Unknown = place.Policy.environments[environment] == nil
	}
	return place, true
}

func (ps *Policies) byHost(host string) (Place, bool) {
	var buf [256]byte
	name, ok := canonicalHost(host, buf[:0])
	if !ok {
		return Place{}, false
	}
	if place, ok := ps.exact[string(name)]; ok {
		return place, true
	}
	// The longest suffix wins. What stands for the `*` must be plain labels.
	for i := 1; i < len(name); i++ {
		if name[i] != '.' {
			continue
		}
		if place, ok := ps.suffix[string(name[i:])]; ok {
			return place, plainLabels(name[:i])
		}
	}
	return Place{}, false
}

// canonicalHost lower-cases the host and cuts one `:port`. Nothing else is repaired.
func canonicalHost(host string, buf []byte) ([]byte, bool) {
	if host == "" || len(host) > cap(buf) {
		return nil, false
	}
	for i := range len(host) {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf = append(buf, c)
	}
	digits := 0
	for digits < len(buf) && '0' <= buf[len(buf)-1-digits] && buf[len(buf)-1-digits] <= '9' {
		digits++
	}
	if colon := len(buf) - 1 - digits; colon > 0 && buf[colon] == ':' && 1 <= digits && digits <= 5 {
		buf = buf[:colon]
	}
	return buf, true
}

// plainLabels reports whether the text is dot-separated labels of a-z, 0-9, - and _.
func plainLabels(text []byte) bool {
	last := byte('.')
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && last != '.':
		default:
			return false
		}
		last = c
	}
	return last != '.'
}

// validHost returns what is wrong with a host of a policy.
func validHost(host string) error {
	name := strings.TrimPrefix(host, "*.")
	switch {
	case name == "" || len(host) > 253:
		return fmt.Errorf("a host has 1 to 253 characters")
	case strings.ToLower(host) != host:
		return fmt.Errorf("hosts are compared in lower case: write %s", strings.ToLower(host))
	case strings.Contains(name, "*"):
		return fmt.Errorf("`*.` stands at the start, for one or more labels, and nowhere else")
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune("/@,?#", c) {
			return fmt.Errorf("%q can't stand in a host", string(c))
		}
	}
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.HasSuffix(name, "]") {
		return fmt.Errorf("a host is written without its port")
	}
	return nil
}
