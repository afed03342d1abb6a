package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const maxNameLength = 128

// ValidName reports whether the text is a name: 1 to 128 of [A-Za-z0-9._~-].
// Such text is safe in a header, a log line and a path.
func ValidName(text string) bool {
	if text == "" || len(text) > maxNameLength {
		return false
	}
	for i := range len(text) {
		c := text[i]
		switch {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', strings.IndexByte("._~-", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// CheckID returns an error unless the text is a `kind:name`.
func CheckID(text string) error {
	kind, name, ok := strings.Cut(text, ":")
	if !ok || !ValidName(kind) || !ValidName(name) {
		return fmt.Errorf("%q is not a name of the form kind:name (team:t_1), each part 1 to %d characters of A-Z a-z 0-9 . _ ~ -", clip(text), maxNameLength)
	}
	return nil
}

// Check returns what is wrong with the tenant by itself.
func (t *Tenant) Check() error {
	errs := []error{prefix("tenants", t.ID, CheckID(t.ID))}
	if t.Parent != "" {
		errs = append(errs, prefix("tenants", t.ID+": parent", CheckID(t.Parent)))
		if t.Parent == t.ID {
			errs = append(errs, fmt.Errorf("tenants: %s: a tenant can't be its own parent", t.ID))
		}
	}
	if t.Plan != "" && !ValidName(t.Plan) {
		errs = append(errs, fmt.Errorf("tenants: %s: plan %q is not a name", t.ID, clip(t.Plan)))
	}
	return errors.Join(errs...)
}

// Check returns what is wrong with the principal by itself.
func (p *Principal) Check() error {
	errs := []error{prefix("principals", p.ID, CheckID(p.ID))}
	for _, tenant := range sortedKeys(p.Memberships) {
		errs = append(errs, prefix("principals", p.ID+": memberships", CheckID(tenant)))
		if role := p.Memberships[tenant]; !ValidName(role) {
			errs = append(errs, fmt.Errorf("principals: %s: role %q in %s is not a name", p.ID, clip(role), clip(tenant)))
		}
	}
	for _, tenant := range sortedKeys(p.Permissions) {
		errs = append(errs, prefix("principals", p.ID+": permissions", CheckID(tenant)))
		for _, permission := range p.Permissions[tenant] {
			if !ValidPermission(permission) {
				errs = append(errs, fmt.Errorf("principals: %s: permission %q in %s is not a name", p.ID, clip(permission), clip(tenant)))
			}
		}
	}
	return errors.Join(errs...)
}

// ValidPermission reports whether the text may name a permission or a scope:
// a name in which colons may stand too.
func ValidPermission(text string) bool {
	return len(text) <= maxNameLength && text != "" && ValidName(strings.ReplaceAll(text, ":", "-"))
}

// CheckTree returns what is wrong with the tenants' parents, as the reader has them.
func CheckTree(r Reader, ids []string) error {
	var errs []error
	for _, id := range ids {
		at, ok := r.Tenant(id)
		for depth := 0; ok && at.Parent != ""; {
			parent, there := r.Tenant(at.Parent)
			if !there {
				errs = append(errs, fmt.Errorf("tenants: %s: its parent %s isn't in the directory: name it in the same file or apply it first", at.ID, at.Parent))
				break
			}
			if depth++; depth > MaxDepth {
				errs = append(errs, fmt.Errorf("tenants: %s: its parents form a circle, or a chain of more than %d", id, MaxDepth))
				break
			}
			at = parent
		}
	}
	return errors.Join(errs...)
}

func prefix(section, place string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", section, clip(place), err)
}

func clip(text string) string {
	if len(text) > 64 {
		return text[:64] + "…"
	}
	return text
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
