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
		value, times := r.headers.get(place.Header)
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
	return key.NewToken(found), policy.Allowed
}

// read reads one place. It answers KeyMissing for an empty place and for a
// scheme that isn't declared, Allowed with the text of what may be a token.
// A scheme ends at the first space, tab or comma; what isn't exactly one space
// and one token is refused in the order of the reasons.
func read(place policy.Credential, value string, times int) (string, policy.Reason) {
	if times == 0 || value == "" {
		return "", policy.KeyMissing
	}
	text := value
	if place.Bearer {
		end := strings.IndexAny(value, " \t,")
		if end < 0 {
			end = len(value)
		}
		if !strings.EqualFold(value[:end], "bearer") {
			return "", policy.KeyMissing
		}
		text = value[end:]
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
	case place.Bearer && text != " "+word, !place.Bearer && text != word, !tokenText(word):
		return "", policy.KeyMalformed
	}
	return word, policy.Allowed
}

// tokenText reports whether the text is 1 to 256 characters of [A-Za-z0-9_-],
// of which every token is made.
func tokenText(text string) bool {
	if text == "" || len(text) > key.MaxTokenLength {
		return false
	}
	for i := range len(text) {
		if !key.URLSafe.Holds(text[i]) {
			return false
		}
	}
	return true
}

// mayCarryCredential reports whether a declared place must be emptied before
// the request goes on: unless what stands there is certainly another scheme's.
// A place that we don't see counts, because Envoy may have hidden it from us
// and still pass it on.
func (r *Request) mayCarryCredential(place policy.Credential) bool {
	value, times := r.headers.get(place.Header)
	_, outcome := read(place, value, times)
	return !place.Bearer || outcome != policy.KeyMissing || times != 1 || value == "" || strings.Contains(value, ",")
}
