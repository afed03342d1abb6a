package link

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Identities are whom an end of a link talks to. The zero value is nobody.
type Identities struct {
	exact []string
	below []string // beginnings of SPIFFE ids, with their last slash
}

// ParseIdentities reads a list of SPIFFE ids, beginnings of them that end in
// `/*`, and DNS names. The error names the field that it is read from.
func ParseIdentities(field string, texts []string) (Identities, error) {
	var ids Identities
	for i, text := range texts {
		if err := ids.add(text); err != nil {
			return Identities{}, fmt.Errorf("%s[%d]: %w", field, i, err)
		}
	}
	return ids, nil
}

func (ids *Identities) add(text string) error {
	switch begin, wild := strings.CutSuffix(text, "/*"); {
	case text == "":
		return errors.New("an identity is empty: write a SPIFFE id or a DNS name")
	case text == "*":
		return errors.New(`"*" would let in everybody whom the CA vouches for: write each identity, or spiffe://TRUST-DOMAIN/* for all of one trust domain`)
	case strings.HasPrefix(text, "spiffe://"):
		if strings.Contains(begin, "*") {
			return fmt.Errorf("%q has a * that isn't its last part: only /* at the end stands for all SPIFFE ids below", text)
		}
		if _, err := spiffeid.FromString(begin); err != nil {
			return fmt.Errorf("%q is no SPIFFE id: write spiffe://TRUST-DOMAIN/PATH: %w", text, err)
		}
		if wild {
			ids.below = append(ids.below, begin+"/")
		} else {
			ids.exact = append(ids.exact, text)
		}
	default:
		name := strings.ToLower(text)
		if problem := dnsProblem(name); problem != "" {
			return fmt.Errorf("%q is neither a SPIFFE id nor a DNS name: %s", text, problem)
		}
		ids.exact = append(ids.exact, name)
	}
	return nil
}

// Empty reports whether it is nobody.
func (ids Identities) Empty() bool { return len(ids.exact) == 0 && len(ids.below) == 0 }

// Find returns the name by which an identity is one of them: its SPIFFE id, or
// the first of its DNS names that is in the list.
func (ids Identities) Find(i Identity) (name string, ok bool) {
	if i.spiffe != "" {
		in := slices.Contains(ids.exact, i.spiffe) ||
			slices.ContainsFunc(ids.below, func(begin string) bool { return strings.HasPrefix(i.spiffe, begin) })
		if !in {
			return "", false
		}
		return i.spiffe, true
	}
	for _, name := range i.dns {
		if slices.Contains(ids.exact, name) {
			return name, true
		}
	}
	return "", false
}

// dnsProblem returns what is wrong with an exact DNS name in lower case.
func dnsProblem(name string) string {
	switch {
	case len(name) > 253:
		return "it has more than 253 characters"
	case net.ParseIP(name) != nil:
		return "an IP address is no identity: write a DNS name of the certificate"
	case strings.Contains(name, "*"):
		return "a wildcard is no identity: write each name"
	}
	for _, label := range strings.Split(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "write it as host.example, of letters, digits, - and _"
		}
	}
	return ""
}
