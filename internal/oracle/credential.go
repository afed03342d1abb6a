package oracle

import "strings"

// tokenOf reads the only declared place, Authorization: Bearer. It returns the
// token, or the reason why there is none.
//
// Choice, in the order of the contract's table:
//   - the scheme is the text before the first space, tab or comma; anything but
//     "bearer" in any case is KEY_MISSING, also when more follows;
//   - then a comma anywhere is KEY_AMBIGUOUS;
//   - then a scheme with nothing, or only spaces and tabs, after it is
//     KEY_MISSING;
//   - then two words after the scheme are KEY_AMBIGUOUS;
//   - then anything but one space and 1 to 256 characters of the alphabet is
//     KEY_MALFORMED.
func tokenOf(r Request) (token, reason string) {
	value := r.joined("authorization")
	scheme, rest := value, ""
	if i := strings.IndexAny(value, " \t,"); i >= 0 {
		scheme, rest = value[:i], value[i:]
	}
	if lowerASCII(scheme) != "bearer" {
		return "", "KEY_MISSING"
	}
	if strings.Contains(rest, ",") {
		return "", "KEY_AMBIGUOUS"
	}
	words := strings.FieldsFunc(rest, func(c rune) bool { return c == ' ' || c == '\t' })
	if len(words) == 0 {
		return "", "KEY_MISSING"
	}
	if len(words) > 1 {
		return "", "KEY_AMBIGUOUS"
	}
	token = words[0]
	if rest != " "+token || len(token) > 256 || !onlyBytes(token, base62+"_-") {
		return "", "KEY_MALFORMED"
	}
	return token, ""
}

// hasForm says whether some key type of the policy has tokens of this form.
//
// Secrets are base62, as they are minted, but where a document says that they
// are URL-safe: there '_' and '-' may stand in them too.
func hasForm(policy, token string) bool {
	switch policy {
	case "kodey":
		return form(token, "pk_live_", 30) || form(token, "sk_live_", 30) || form(token, "usk_live_", 30)
	case "cuneiform":
		return urlSafeForm(token, "cuk_live_", 40) || urlSafeForm(token, "cuk_test_", 40)
	case "spotzee":
		return form(token, "pk_", 32) || form(token, "sk_", 32) || form(token, "ok_", 32)
	case "shortkit":
		return form(token, "pk_live_", 30) || form(token, "pk_test_", 30) ||
			form(token, "sk_live_", 30) || form(token, "sk_test_", 30)
	}
	return false
}

func form(token, prefix string, secret int) bool {
	return formOf(token, prefix, secret, base62)
}

func urlSafeForm(token, prefix string, secret int) bool {
	return formOf(token, prefix, secret, base62+"_-")
}

func formOf(token, prefix string, secret int, alphabet string) bool {
	return strings.HasPrefix(token, prefix) &&
		len(token) == len(prefix)+secret &&
		onlyBytes(token[len(prefix):], alphabet)
}

// authenticate finds the key of a token, or the reason of the 401.
func (w *World) authenticate(policy, token string) (Key, string) {
	if !hasForm(policy, token) {
		return Key{}, "KEY_MALFORMED"
	}
	for _, k := range w.Keys {
		if k.Policy != policy {
			continue
		}
		live, known := k.Token == token, k.Token == token
		for _, old := range k.OldTokens {
			if old.Token == token {
				known = true
				live = live || w.Now.Before(old.Until)
			}
		}
		if !known {
			continue
		}
		switch {
		case k.Revoked || !live:
			return Key{}, "KEY_REVOKED"
		case !k.Expires.IsZero() && !w.Now.Before(k.Expires):
			return Key{}, "KEY_EXPIRED"
		case k.Disabled:
			return Key{}, "KEY_DISABLED"
		case k.isUserKey() && !w.principalActive(k.Principal):
			return Key{}, "PRINCIPAL_GONE"
		}
		return k, ""
	}
	return Key{}, "KEY_UNKNOWN"
}

// isUserKey says whether the key belongs to a person and not to a tenant. Of
// all types of the four systems that is kodey's user_secret alone.
func (k Key) isUserKey() bool { return k.Policy == "kodey" && k.Type == "user_secret" }
