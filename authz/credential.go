package authz

import (
	"strings"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// credential returns the token that a request presents, or the reason why it
// presents none: exactly one declared place must be filled, once. Everything
// else in the request is ordinary text.
func (r *Request) credential(p *policy.Policy) (key.Token, policy.Reason) {
	var found string
	reason := policy.KeyMissing
	for _, place := range p.Credentials() {
		value, times := r.header(place.Header)
		text, outcome := read(place, value, times)
		if outcome == policy.KeyMissing {
			continue
		}
		if reason != policy.KeyMissing {
			return key.Token{}, policy.KeyAmbiguous
		}
		found, reason = text, outcome
	}
	if reason != policy.Allowed {
		return key.Token{}, reason
	}
	r.token = found
	return key.TokenAt(&r.token), policy.Allowed
}

// read reads one place. It answers KeyMissing for an empty place and for a
// scheme that isn't declared, Allowed with the text of what may be a token.
// What isn't exactly one space and one token is refused in the order of the
// reasons.
func read(place policy.Credential, value string, times int) (string, policy.Reason) {
	if times == 0 || value == "" {
		return "", policy.KeyMissing
	}
	if word, ok := usual(place, value); ok && times == 1 {
		return word, policy.Allowed
	}
	text := value
	if place.Bearer {
		rest, ok := afterScheme(value)
		if !ok {
			return "", policy.KeyMissing
		}
		text = rest
	}
	if times > 1 || strings.Contains(text, ",") {
		return "", policy.KeyAmbiguous
	}
	word := strings.Trim(text, " \t")
	switch {
	case word == "":
		return "", policy.KeyMissing
	case strings.ContainsAny(word, " \t"):
		return "", policy.KeyAmbiguous // more than one token
	case place.Bearer && (text[0] != ' ' || text[1:] != word), !place.Bearer && text != word, !tokenText(word):
		return "", policy.KeyMalformed
	}
	return word, policy.Allowed
}

// afterScheme returns what follows the scheme Bearer, if the value has it. A scheme
// ends at the first space, tab or comma.
func afterScheme(value string) (rest string, ok bool) {
	end := 0
	for end < len(value) && value[end] != ' ' && value[end] != '\t' && value[end] != ',' {
		end++
	}
	return value[end:], strings.EqualFold(value[:end], "bearer")
}

// usual reads a place that is filled as nearly all of them are, with what is
// certainly one text of a token.
func usual(place policy.Credential, value string) (word string, ok bool) {
	const scheme = "Bearer "
	if place.Bearer {
		if len(value) < len(scheme) || value[:len(scheme)] != scheme {
			return "", false
		}
		value = value[len(scheme):]
	}
	return value, tokenText(value)
}

// tokenText reports whether the text is 1 to 256 characters of [A-Za-z0-9_-],
// of which every token is made.
func tokenText(text string) bool {
	return text != "" && len(text) <= key.MaxTokenLength && key.URLSafe.HoldsAll(text)
}

// mayCarryCredential reports whether a declared place must be emptied before
// the request goes on: unless what stands there is certainly another scheme's.
// A place that we don't see counts, because Envoy may have hidden it from us
// and still pass it on.
func (r *Request) mayCarryCredential(place policy.Credential) bool {
	if !place.Bearer {
		return true
	}
	value, times := r.header(place.Header)
	if times != 1 || value == "" || strings.Contains(value, ",") {
		return true
	}
	rest, ok := afterScheme(value)
	return ok && strings.Trim(rest, " \t") != ""
}
