package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/key"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// ownerPrincipal is the owner of a key type whose keys belong to people.
const ownerPrincipal = "principal"

// Lengths that a secret may have, in characters.
const (
	maxSecretLength = 200
)

// requirable are the fields that a type may ask for when a key is made.
var requirable = []string{"name", "description", "expires"}

func (c *compiler) keyTypes() {
	place := c.root.in("key_types")
	if len(c.doc.GetKeyTypes()) == 0 {
		place.note("declare at least one key type", "the policy has no keys")
	}
	for _, doc := range c.doc.GetKeyTypes() {
		here := place.in(doc.GetName())
		here.name("a key type", doc.GetName(), validSlug, slugForm)
		if c.p.types[doc.GetName()] != nil {
			here.note("take one out", "the key type %q stands here twice", doc.GetName())
		}
		t := &KeyType{
			Name: doc.GetName(), Description: doc.GetDescription(),
			Ceiling:         doc.GetCeiling() == policyv1.Ceiling_CEILING_CREATOR,
			CreatorRequired: doc.GetCreatorRequired(),
			Required:        doc.GetRequired(),
			LongestLife:     limit(here.in("longest_life"), doc.GetLongestLife()),
			LongestGrace:    limit(here.in("longest_grace"), doc.GetLongestGrace()),
			MaxStaleness:    staleness(here.in("max_staleness"), doc.GetMaxStaleness()),
			RotatesInPlace:  doc.GetRotation() != policyv1.Rotation_ROTATION_NONE,
			Revealable:      doc.GetReveal() == policyv1.Reveal_REVEAL_ALWAYS,
			SystemKeys:      doc.GetSystemKeys(),
			formats:         map[string]key.Format{},
		}
		c.p.types[t.Name] = t
		here.in("required").known("field", t.Required, requirable)
		c.owner(here, t, doc)
		c.grants(here, t, doc)
		c.opens(here, t, doc)
		c.format(here.in("format"), t, doc.GetFormat(), false)
		for i, text := range doc.GetFormerFormats() {
			c.format(here.in("former_formats", i), t, text, true)
		}
	}
	c.apart()
	// A longer prefix is the more telling one. No token fits two types, so the
	// order is for the reader of a trace, not for the decision.
	slices.SortStableFunc(c.p.forms, func(a, b form) int { return len(b.Prefix) - len(a.Prefix) })
}

// limit reads an optional longest time: nil is no limit.
func limit(place at, d *durationpb.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	if err := d.CheckValid(); err != nil || d.AsDuration() < 0 {
		place.note("write a duration such as 90d, 24h or 0s", "a longest time can't be negative or beyond 292 years")
		return nil
	}
	l := d.AsDuration()
	return &l
}

func (c *compiler) owner(here at, t *KeyType, doc *policyv1.KeyType) {
	kinds := sortedKeys(c.p.kinds)
	switch doc.GetOwner() {
	case "":
		here.note("write owner: KIND for one of the tenant kinds, or owner: principal", "keys of this type belong to nobody")
	case ownerPrincipal:
	default:
		here.in("owner").known("tenant kind", []string{doc.GetOwner()}, append(kinds, ownerPrincipal))
		t.Owner = doc.GetOwner()
	}
	for _, r := range doc.GetReaches() {
		there := here.in("reaches", r.GetName())
		kind := c.p.kinds[r.GetName()]
		if kind == nil {
			there.note(Nearest(r.GetName(), kinds), "tenant kind %q is not declared", r.GetName())
			continue
		}
		if t.Owner == "" {
			if len(r.GetRoles()) == 0 || r.GetChildren() {
				there.note("write {roles: […]}", "a principal's key reaches tenants by the roles of its principal")
			}
			there.in("roles").known("role", r.GetRoles(), sortedKeys(kind.Roles))
			if t.memberRoles == nil {
				t.memberRoles = map[string][]string{}
			}
			t.memberRoles[kind.Name] = r.GetRoles()
			continue
		}
		if !r.GetChildren() || len(r.GetRoles()) > 0 {
			there.note("write {children: true}", "a tenant's key reaches further tenants as children of its own")
		}
		if kind.Parent != t.Owner {
			there.note("name a kind whose parent is "+t.Owner, "tenants of the kind %q are not children of the kind %q, which owns keys of this type", kind.Name, t.Owner)
		}
		if t.childKind == nil {
			t.childKind = map[string]bool{}
		}
		t.childKind[kind.Name] = true
	}
	if t.Owner == "" && t.Ceiling {
		here.in("ceiling").note("take it out: such a key is bounded by what it reaches", "a principal's key has no tenant in which its creator could be a ceiling")
	}
}

func (c *compiler) grants(here at, t *KeyType, doc *policyv1.KeyType) {
	ways := 0
	if len(doc.GetScopes()) > 0 {
		ways++
		t.Grant, t.Scopes = Fixed, c.p.closure(c.scopes(here.in("scopes"), doc.GetScopes()))
	}
	if len(doc.GetGrantable()) > 0 {
		ways++
		t.Grant, t.Scopes = Chosen, c.scopes(here.in("grantable"), doc.GetGrantable())
	}
	if doc.GetRole() != nil {
		ways++
		t.Grant = ByRole
		kind := c.p.kinds[t.Owner]
		switch {
		case kind == nil || len(kind.Roles) == 0:
			here.in("role").note("declare roles for the tenant kind that owns it, or use scopes or grantable", "keys of this type have no roles to carry")
		case doc.GetRole().GetDefault() != "":
			here.in("role", "default").known("role", []string{doc.GetRole().GetDefault()}, sortedKeys(kind.Roles))
		}
		t.DefaultRole = doc.GetRole().GetDefault()
		if kind != nil {
			t.Roles = kind.Roles
		}
	}
	if ways != 1 {
		here.note("write one of scopes (fixed), grantable (chosen when a key is made) or role (through a role)", "keys of this type must come by their scopes in exactly one way, and %d are given", ways)
	}
}

// opens works out which endpoints some key of the type could reach: what it
// cannot reach, whatever it is granted, is KEY_TYPE_NOT_ALLOWED.
func (c *compiler) opens(here at, t *KeyType, doc *policyv1.KeyType) {
	if len(doc.GetOnly()) > 0 {
		var all []string
		t.only = map[*Endpoint]bool{}
		for _, e := range c.p.endpoints {
			all = append(all, e.Name)
			if slices.Contains(doc.GetOnly(), e.Name) {
				t.only[e] = true
			}
		}
		here.in("only").known("endpoint", doc.GetOnly(), all)
	}
	for _, e := range c.p.endpoints {
		t.opens = append(t.opens, (t.only == nil || t.only[e]) && c.couldHold(t, e))
	}
}

func (c *compiler) couldHold(t *KeyType, e *Endpoint) bool {
	if t.Grant != ByRole {
		return c.p.closure(t.Scopes).Covers(e.Scopes)
	}
	for _, role := range t.Roles {
		if role.Scopes.Covers(e.Scopes) && role.Permissions.Covers(e.Permissions) {
			return true
		}
	}
	return false
}

// format reads a format and adds one form for each environment.
func (c *compiler) format(place at, t *KeyType, text string, former bool) {
	environments := sortedKeys(c.p.environments)
	if len(environments) == 0 {
		environments = []string{""}
	}
	for _, env := range environments {
		f, inText, err := parseFormat(text, env)
		if err == nil && inText != (len(c.p.environments) > 0) && !former {
			if inText {
				err = fmt.Errorf("it has {environment}, and the policy has no environments")
			} else {
				err = fmt.Errorf("it lacks {environment}, so that people could not tell a key of one environment from another's")
			}
		}
		if err == nil && !former && f.SecretLength < key.MinMintLength {
			err = fmt.Errorf("a secret of %d characters can be guessed: give new ones at least %d (160 bits)", f.SecretLength, key.MinMintLength)
		}
		if err != nil {
			place.note("write a format such as sk_{environment}_{secret:32} or ak_{secret:32}{checksum}", "format %q: %v", text, err)
			return
		}
		c.p.forms = append(c.p.forms, form{Format: f, keyType: t, environment: env, former: former})
		if !former {
			t.formats[env] = f
		}
	}
}

// apart notes types that one token could fit.
func (c *compiler) apart() {
	noted := map[string]bool{}
	for i, f := range c.p.forms {
		for _, g := range c.p.forms[:i] {
			pair := f.keyType.Name + " " + g.keyType.Name
			if f.keyType == g.keyType || noted[pair] || !f.Overlaps(g.Format) {
				continue
			}
			noted[pair] = true
			c.root.in("key_types", f.keyType.Name, "format").note("give them prefixes or lengths that differ",
				"one token could be of the type %q (%s…) and of the type %q (%s…)", f.keyType.Name, f.Prefix, g.keyType.Name, g.Prefix)
		}
	}
}

// parseFormat reads literal text, {environment}, {secret:LENGTH [ALPHABET]}
// and {checksum}, for one environment.
func parseFormat(text, environment string) (f key.Format, inText bool, err error) {
	rest, secret := text, false
	for rest != "" {
		open := strings.IndexByte(rest, '{')
		literal := rest
		if open >= 0 {
			literal = rest[:open]
		}
		for _, c := range literal {
			if c >= utf8.RuneSelf || !key.URLSafe.Holds(byte(c)) {
				return f, inText, fmt.Errorf("%q can't stand in a token, which is made of A-Z a-z 0-9 _ -", string(c))
			}
		}
		if secret && literal != "" {
			return f, inText, fmt.Errorf("nothing but {checksum} may follow the secret")
		}
		f.Prefix += literal
		if open < 0 {
			break
		}
		end := strings.IndexByte(rest, '}')
		if end < open {
			return f, inText, fmt.Errorf("a brace is not closed")
		}
		word := rest[open+1 : end]
		rest = rest[end+1:]
		name, argument, _ := strings.Cut(word, ":")
		switch {
		case word == "environment" && !secret && !inText:
			inText = true
			f.Prefix += environment
		case name == "secret" && !secret:
			secret = true
			if err := parseSecret(&f, argument); err != nil {
				return f, inText, err
			}
		case word == "checksum" && secret && rest == "":
			f.Checksum = true
		default:
			return f, inText, fmt.Errorf("{%s} can't stand there: a format is text, {environment}, {secret:LENGTH} and {checksum}, in this order", word)
		}
	}
	switch {
	case !secret:
		return f, inText, fmt.Errorf("it has no {secret:LENGTH}")
	case f.Prefix == "":
		return f, inText, fmt.Errorf("it has no text before the secret, by which people and scanners know it")
	case f.Length() > key.MaxTokenLength:
		return f, inText, fmt.Errorf("a token has at most %d characters", key.MaxTokenLength)
	}
	return f, inText, nil
}

func parseSecret(f *key.Format, argument string) error {
	length, alphabet, _ := strings.Cut(argument, " ")
	n, err := strconv.Atoi(length)
	if err != nil || n < key.MinImportLength || n > maxSecretLength {
		return fmt.Errorf("{secret:%s} needs a length from %d to %d", argument, key.MinImportLength, maxSecretLength)
	}
	f.SecretLength = n
	switch alphabet {
	case "", "base62":
		f.Alphabet = key.Base62
	case "urlsafe":
		f.Alphabet = key.URLSafe
	default:
		return fmt.Errorf("the alphabet %q is not one of base62 and urlsafe", alphabet)
	}
	return nil
}
