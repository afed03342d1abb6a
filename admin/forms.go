package admin

import (
	"fmt"
	"strings"

	"github.com/latchkey/latchkey/key"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// typeDoc returns what the document says of a key type, and nil if nothing.
func (one *compiledPolicy) typeDoc(name string) *policyv1.KeyType {
	for _, t := range one.doc.GetKeyTypes() {
		if t.GetName() == name {
			return t
		}
	}
	return nil
}

// formsOf returns the forms that tokens of a type have in an environment, the
// one that is minted first and then the former ones. The compiled policy has
// them by token; here they are asked for by type, to compare two policies.
func formsOf(t *policyv1.KeyType, environment string) []key.Format {
	if t == nil {
		return nil
	}
	forms := []key.Format{formOf(t.GetFormat(), environment)}
	for _, text := range t.GetFormerFormats() {
		forms = append(forms, formOf(text, environment))
	}
	return forms
}

// formOf reads a format that the policy's compiler has accepted: text,
// {environment}, {secret:LENGTH ALPHABET}, {checksum}.
func formOf(text, environment string) key.Format {
	before, rest, _ := strings.Cut(strings.ReplaceAll(text, "{environment}", environment), "{secret:")
	argument, rest, _ := strings.Cut(rest, "}")
	f := key.Format{Prefix: before, Checksum: rest == "{checksum}"}
	_, _ = fmt.Sscanf(argument, "%d", &f.SecretLength)
	if strings.HasSuffix(argument, " urlsafe") {
		f.Alphabet = key.URLSafe
	}
	return f
}
