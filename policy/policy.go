package policy

import (
	"strings"
	"time"

	"github.com/latchkey/latchkey/key"
)

// Policy is a compiled policy document.
type Policy struct {
	name           string
	version        string
	claims         []claim
	bound          bool // every host belongs to one environment
	environments   map[string]*Environment
	kinds          map[string]*TenantKind
	scopes         names
	requires       []Set // by scope: permissions that a creator must hold
	implied        []Set // by scope: itself and what it implies
	permissions    names
	everything     Holder // what the operator holds
	types          map[string]*KeyType
	forms          []form // longest prefix first
	credentials    []Credential
	places         []TenantPlace
	endpoints      []*Endpoint
	routes         *node
	preflight      bool
	percentEscapes bool
	replies        [reasonCount]*Reply
}

// claim is a host that the policy claims.
type claim struct{ host, environment string }

// form is a format and the type that it belongs to.
type form struct {
	key.Format
	keyType     *KeyType
	environment string
	former      bool
}

// Environment is a world of its own.
type Environment struct {
	Name  string
	Title string // what replies call it
}

// TenantKind is a kind of owner of keys and data.
type TenantKind struct {
	Name   string
	Parent string
	Plans  []string // empty: any
	Roles  map[string]*Role
}

// Role is a named bundle of scopes and permissions.
type Role struct {
	Name        string
	Scopes      Set // with what they imply
	Permissions Set
}

// Credential is a place where a key may be presented.
type Credential struct {
	Header string // lower case
	Bearer bool   // the value is `Bearer TOKEN`; else it is the token
}

// PlaceIn is where in a request a tenant may be named.
type PlaceIn uint8

// Where a tenant may be named.
const (
	InHeader PlaceIn = iota
	InPath
	InQuery
)

// TenantPlace is a place where a request may name a tenant.
type TenantPlace struct {
	In   PlaceIn
	Name string // of the header (lower case), path parameter or query parameter
	Kind string // of the tenants that are named there
}

// Endpoint is a named group of routes that need the same access.
type Endpoint struct {
	Name        string
	Scopes      Set
	Permissions Set
	NeedsTenant bool // the request must stand in one tenant
	NoTenant    bool // it needs none
	Public      bool
	index       int
}

// Grant is how a key comes by its scopes.
type Grant uint8

// The ways.
const (
	Fixed  Grant = iota // by its type
	Chosen              // when it is made, out of a grantable set
	ByRole              // through a role of its tenant's kind
)

// KeyType is a kind of key. Its fields are to be read only.
type KeyType struct {
	Name            string
	Description     string
	Owner           string // tenant kind; empty: a principal
	Grant           Grant
	Scopes          Set // Fixed: what it holds. Chosen: what may be chosen
	DefaultRole     string
	Roles           map[string]*Role // ByRole: those that its keys may carry
	Ceiling         bool             // bounded by its creator
	CreatorRequired bool
	Required        []string
	LongestLife     *time.Duration // nil: no limit
	LongestGrace    *time.Duration // nil: no limit
	MaxStaleness    time.Duration  // how long a replica answers for it without news of its hub; 0: no limit of its own
	RotatesInPlace  bool
	Revealable      bool // its keys are public and may be shown again
	SystemKeys      bool

	memberRoles map[string][]string // principal's key: kind → roles that reach
	childKind   map[string]bool     // tenant's key: kinds of children that it reaches
	only        map[*Endpoint]bool  // nil: any
	opens       []bool              // by endpoint: some key of this type can reach it
	formats     map[string]key.Format
}

// Name returns the policy's name.
func (p *Policy) Name() string { return p.name }

// Version returns the digest of the document that the policy was compiled from.
func (p *Policy) Version() string { return p.version }

// Hosts returns the hosts that the policy claims, in the document's order.
func (p *Policy) Hosts() []string {
	hosts := make([]string, len(p.claims))
	for i, c := range p.claims {
		hosts[i] = c.host
	}
	return hosts
}

// Environment returns an environment of the policy, or nil.
func (p *Policy) Environment(name string) *Environment { return p.environments[name] }

// HasEnvironments reports whether keys of the policy belong to environments.
func (p *Policy) HasEnvironments() bool { return len(p.environments) > 0 }

// Environments returns the names of the environments, sorted.
func (p *Policy) Environments() []string { return sortedKeys(p.environments) }

// Kind returns a tenant kind, or nil.
func (p *Policy) Kind(name string) *TenantKind { return p.kinds[name] }

// Kinds returns the names of the tenant kinds, sorted.
func (p *Policy) Kinds() []string { return sortedKeys(p.kinds) }

// Type returns a key type, or nil.
func (p *Policy) Type(name string) *KeyType { return p.types[name] }

// Types returns the names of the key types, sorted.
func (p *Policy) Types() []string { return sortedKeys(p.types) }

// Endpoints returns the endpoints, in the document's order.
func (p *Policy) Endpoints() []*Endpoint { return p.endpoints }

// Credentials returns the places where a key may be presented.
func (p *Policy) Credentials() []Credential { return p.credentials }

// TenantPlaces returns the places where a request may name a tenant.
func (p *Policy) TenantPlaces() []TenantPlace { return p.places }

// CredentialHeaders returns the names of the headers where a key may be presented, in lower case.
func (p *Policy) CredentialHeaders() []string {
	var names []string
	for _, c := range p.credentials {
		names = append(names, c.Header)
	}
	return names
}

// TenantHeaders returns the names of the headers by which a request may name a tenant, in lower case.
func (p *Policy) TenantHeaders() []string {
	var names []string
	for _, place := range p.places {
		if place.In == InHeader {
			names = append(names, place.Name)
		}
	}
	return names
}

// Preflights reports whether a CORS preflight passes without a key.
func (p *Policy) Preflights() bool { return p.preflight }

// Reply returns how a reason is answered.
func (p *Policy) Reply(r Reason) *Reply { return p.replies[r.index()] }

// HasPermissions reports whether the policy declares permissions.
func (p *Policy) HasPermissions() bool { return len(p.permissions.sorted) > 0 }

// ScopeNames returns the names of the scopes in a set, sorted by byte.
func (p *Policy) ScopeNames(s Set) []string { return p.scopes.list(s) }

// AppendScopeNames appends the names of the scopes in a set to b, sorted by
// byte, with a space between each two.
func (p *Policy) AppendScopeNames(b []byte, s Set) []byte { return p.scopes.appendList(b, s) }

// PermissionNames returns the names of the permissions in a set, sorted by byte.
func (p *Policy) PermissionNames(s Set) []string { return p.permissions.list(s) }

// AppendPermissionNames is AppendScopeNames for a set of permissions.
func (p *Policy) AppendPermissionNames(b []byte, s Set) []byte { return p.permissions.appendList(b, s) }

// Scopes returns every scope of the policy.
func (p *Policy) Scopes() Set { return p.scopes.all() }

// ScopeSet returns the set of the named scopes, and the names that the policy
// doesn't have.
func (p *Policy) ScopeSet(scopes []string) (set Set, unknown []string) {
	return setOf(p.scopes, scopes)
}

// Requires returns the permissions that a creator must hold for a scope.
func (p *Policy) Requires(scope string) Set {
	if i, ok := p.scopes.index[scope]; ok {
		return p.requires[i]
	}
	return Set{}
}

// Opens reports whether some key of the type can reach the endpoint at all.
func (t *KeyType) Opens(e *Endpoint) bool { return t.opens[e.index] }

// Format returns the form that new tokens of the type have in an environment.
func (t *KeyType) Format(environment string) (key.Format, bool) {
	f, ok := t.formats[environment]
	return f, ok
}

// Formats returns the forms that tokens of a type have in an environment: the
// one that is minted first, then the former ones. A type or an environment
// that the policy hasn't has none.
func (p *Policy) Formats(keyType, environment string) []key.Format {
	var minted, former []key.Format
	for _, f := range p.forms {
		if f.keyType.Name != keyType || f.environment != environment {
			continue
		}
		if f.former {
			former = append(former, f.Format)
		} else {
			minted = append(minted, f.Format)
		}
	}
	return append(minted, former...)
}

// WellFormed reports whether a token has the form of any key type: what is
// not so is refused without a look-up. The form grants nothing: type and
// environment come from the stored record.
func (p *Policy) WellFormed(token key.Token) bool {
	for i := range p.forms {
		if p.forms[i].Matches(token.Reveal()) {
			return true
		}
	}
	return false
}

// telling is how many characters a prefix has at least that is looked for within
// other text: a letter or two stand in every word.
const telling = 3

// HoldsToken reports whether there is a token in a text, also one that is glued to
// other characters, as in my-sk_live_…: people paste them into notes.
func (p *Policy) HoldsToken(text string) bool {
	for i := range p.forms {
		f := &p.forms[i]
		if f.Matches(text) {
			return true
		}
		for at := 0; len(f.Prefix) >= telling; at++ {
			next := strings.Index(text[at:], f.Prefix)
			if next < 0 {
				break
			}
			at += next
			// What goes on with letters and digits is a longer name, such as that of a key.
			if end := at + f.Length(); end <= len(text) && (end == len(text) || !key.Base62.Holds(text[end])) && f.Matches(text[at:end]) {
				return true
			}
		}
	}
	return false
}

// FormatOf returns the form of a type that a token has, former forms
// included, and the environment that it stands for.
func (p *Policy) FormatOf(t *KeyType, token key.Token) (f key.Format, environment string, ok bool) {
	for i := range p.forms {
		if p.forms[i].keyType == t && p.forms[i].Matches(token.Reveal()) {
			return p.forms[i].Format, p.forms[i].environment, true
		}
	}
	return key.Format{}, "", false
}

func setOf(n names, list []string) (set Set, unknown []string) {
	for _, name := range list {
		if i, ok := n.index[name]; ok {
			set = set.With(i)
		} else {
			unknown = append(unknown, name)
		}
	}
	return set, unknown
}
