package admin

import (
	"slices"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// batch is an import: what is to be written, and what is wrong.
type batch struct {
	World
	there    *present
	resume   bool
	seen     map[key.Digest]int // in the batch, at which index
	ids      map[string]int     // the same, of keys that are put back
	fresh    map[string]bool    // ids that are made here
	newID    func() string
	write    storage.Change
	present  int // keys that are there already
	mistakes []*adminv1.ImportMistake
}

// line is what was read of one key of an import.
type line struct {
	record *key.Record // nil: its token couldn't be read
	form   mistakes    // in what it says
	judged mistakes    // why it can't be a key here and now
}

// add checks one key, and adds it or what is wrong with it.
func (b *batch) add(index int, k *adminv1.ImportKey) {
	read := b.take
	if k.GetId() != "" {
		read = b.putBack
	}
	l := read(k)
	made, wrong, there := l.record, l.form, false
	if made != nil {
		there = b.has(k, made, &wrong)
		b.twice(index, k, made, &wrong)
	}
	if !there || !b.resume {
		// Of a key that is there already nothing is asked anew: its owner may be
		// suspended by now, or its end be past.
		wrong = append(l.judged, wrong...)
	}
	if wrong != nil {
		for _, err := range wrong {
			b.mistakes = append(b.mistakes, &adminv1.ImportMistake{Index: uint32(index), Message: b.scrub(err.Error())})
		}
		return
	}
	if there {
		b.present++
		return
	}
	if k.GetId() == "" {
		if b.fresh == nil {
			b.fresh, b.newID = map[string]bool{}, key.Neighbours()
		}
		made = key.IssueAs(b.newID(), *made, made.Current(), b.Now)
		b.fresh[made.ID] = true
	}
	b.write.Keys = append(b.write.Keys, made)
	b.keep(k, made)
}

// keep has the store keep the token of a key whose type's keys are public.
func (b *batch) keep(k *adminv1.ImportKey, made *key.Record) {
	_, t, err := b.typeOf(made)
	if err != nil || !t.Revealable || k.GetToken() == "" || !made.Revoked.IsZero() {
		return
	}
	if b.write.Reveal == nil {
		b.write.Reveal = map[string]key.Token{}
	}
	b.write.Reveal[made.ID] = key.NewToken(k.GetToken())
}

// take reads a key that is new here. It is returned without an id and with its
// secret wherever that could be read, however much is wrong beside.
func (b *batch) take(k *adminv1.ImportKey) (l line) {
	d := b.draft(k.GetCreator(), k.GetKey())
	who := k.GetCreator()
	if _, ok := b.Directory.Principal(who); !ok && who != "" {
		d.wrong.invalid("creator: %s isn't in the directory: apply it first, or correct the name", b.quote(who))
	} else if d.owned {
		// Else the ceiling would cut in silence what the line grants.
		d.wrong.add(b.bounded(d.policy, d.keyType, d.record, policy.Set{}, "its creator", who))
	}
	if d.keyType != nil && d.keyType.CreatorRequired && who == "" {
		d.wrong.add(refused("creator: keys of the type %s are made on behalf of a principal: name it as their creator", d.keyType.Name))
	}
	l.judged = d.wrong
	if k.GetCreatedAt() != nil || k.GetRevokedAt() != nil || k.GetDisabled() || k.GetRotatedAt() != nil || len(k.GetFormerSecrets()) > 0 {
		l.form.invalid("id: created_at, revoked_at, disabled, rotated_at and former_secrets are of a key that is put back: give its id too, or leave them out")
	}
	s, err := b.secret(d, k)
	if l.form.add(err); err == nil {
		d.record.Secrets = []key.Secret{s}
		l.record = d.record
	}
	return l
}

// has reports whether the store has the key already, and notes where it may
// not be there, or where what is there is another.
func (b *batch) has(k *adminv1.ImportKey, made *key.Record, wrong *mistakes) bool {
	id, known := made.ID, b.there.keys[made.ID] != nil
	for _, s := range made.Secrets {
		owner, taken := b.there.digests[s.Digest]
		switch {
		case !taken:
		case id == "" || id == owner:
			id, known = owner, true
		default:
			wrong.invalid("token: it is that of another key, %s: take it out", owner)
			return false
		}
	}
	if !known {
		return false
	}
	r := b.there.keys[id]
	switch {
	case !b.resume && k.GetId() != "":
		wrong.invalid("id: %s: take it out, or have keys passed over that are there as the same key (--resume)", key.ErrDuplicate)
	case !b.resume:
		wrong.invalid("token: %s: take it out, or have keys passed over that are there as the same key (--resume)", key.ErrDuplicate)
	default:
		wrong.add(sameKey(k, made, r))
	}
	return true
}

// twice notes where a token or an id stands in the batch before.
func (b *batch) twice(index int, k *adminv1.ImportKey, made *key.Record, wrong *mistakes) {
	if k.GetId() != "" {
		if first, twice := b.ids[made.ID]; twice {
			wrong.invalid("id: it is that of the key at index %d too: take one out", first)
			return
		}
		b.ids[made.ID] = index
	}
	for _, s := range made.Secrets {
		switch first, twice := b.seen[s.Digest]; {
		case twice && first == index:
			wrong.invalid("former_secrets: the same token stands twice in this key: leave one of them out")
			return
		case twice:
			wrong.invalid("token: it is that of the key at index %d too: take one out", first)
			return
		}
		b.seen[s.Digest] = index
	}
}

// secret checks a token, or takes a digest for what it is said to be.
func (b *batch) secret(d *drafted, k *adminv1.ImportKey) (key.Secret, error) {
	switch {
	case (k.GetToken() == "") == (k.GetTokenSha256() == ""):
		return key.Secret{}, invalid("token, token_sha256: give exactly one of them")
	case k.GetTokenSha256() != "":
		digest, err := digestOf(k)
		if err != nil {
			return key.Secret{}, invalid("token_sha256: %s: give the SHA-256 of the whole token", err)
		}
		s := key.Secret{Digest: digest, Prefix: k.GetPrefix(), Last4: k.GetLast4()}
		forms := b.forms(d)
		if s.Prefix == "" && len(forms) == 1 && k.GetId() == "" {
			// With one form there is one prefix. With several it isn't known.
			s.Prefix = forms[0].Prefix
		} else if s.Prefix != "" && len(forms) > 0 && !slices.ContainsFunc(forms, func(f key.Format) bool { return f.Prefix == s.Prefix }) {
			return key.Secret{}, invalid("prefix: no token of the type %s begins so: correct it, or leave it out", d.keyType.Name)
		}
		return s, shownOf(s)
	case k.GetPrefix() != "" || k.GetLast4() != "":
		return key.Secret{}, invalid("prefix, last4: the token says them: leave them out")
	}
	token := key.NewToken(k.GetToken())
	if d.format.SecretLength == 0 { // type or environment are wrong, which is noted
		return key.Secret{Digest: token.Digest()}, nil
	}
	for _, format := range b.forms(d) {
		if format.Matches(token.Reveal()) {
			if format.SecretLength < key.MinImportLength {
				return key.Secret{}, invalid("token: its secret has %d characters and could be guessed, at least %d are needed: make a new key", format.SecretLength, key.MinImportLength)
			}
			return secret(format, token), nil
		}
	}
	if _, environment, ok := d.policy.FormatOf(d.keyType, token); ok {
		return key.Secret{}, invalid("token: it is one of the environment %s, and the key isn't: correct the environment", environment)
	}
	return key.Secret{}, invalid("token: it has no form of the type %s, or a wrong checksum: correct the type, or declare its form under former_formats", d.keyType.Name)
}

// shownOf checks what is said to be shown of a token.
func shownOf(s key.Secret) error {
	switch {
	case s.Prefix != "" && !directory.ValidName(s.Prefix):
		return invalid("prefix: it isn't the beginning of a token: correct it, or leave it out")
	case s.Last4 != "" && (len(s.Last4) != 4 || !key.URLSafe.HoldsAll(s.Last4)):
		return invalid("last4: it isn't the last four characters of a token: correct it, or leave it out")
	}
	return nil
}

// forms returns the forms that the token of a key may have.
func (b *batch) forms(d *drafted) []key.Format {
	if d.format.SecretLength == 0 {
		return nil
	}
	return d.policy.Formats(d.keyType.Name, d.record.Environment)
}
