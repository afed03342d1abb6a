package storage_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/watermark"
)

// state is what a trial finds in the data folder.
type state struct {
	file  []byte // nil: there is none
	size  int64  // of the file, where it is longer than those bytes: zeros follow
	marks []byte // nil: there is none
	// place, unless it is nil, does what bytes can't.
	place func(dir string) error
}

// trial is one damage.
type trial struct {
	what   string // for people
	damage func(*state)
	// truth, unless it is nil, is what the store must tell: nobody can know
	// this state from a good one. Others are refused, or tell the newest.
	truth *truth
}

// rig tries damages out, in one folder.
type rig struct {
	golden  *golden
	dir     string
	options storage.Options
	scratch state // its buffers are used again
	laid    state // of the last trial
}

// Outcomes beside the errors of Open.
const (
	harmless = "harmless"
	unseen   = "not noticeable"
	// forgotten is a store that tells the truth but for kept tokens that it
	// doesn't know any more: a page of the bucket reveal as it was before they
	// came is whole, and no digest is over that bucket. It can't be told from a
	// store that never had them; no decision hangs on it.
	forgotten = "token forgotten"
)

// kinds of refusal, the more telling first.
var refusals = []struct {
	word string
	is   error
}{
	{"damaged", storage.ErrDamaged},
	{"rollback", storage.ErrRollback},
	{"unproven", storage.ErrUnproven},
	{"missing", storage.ErrMissing},
	{"format", storage.ErrFormat},
}

func refusal(err error) string {
	for _, r := range refusals {
		if errors.Is(err, r.is) {
			return r.word
		}
	}
	return "other"
}

// remedy is what an error must hold: a thing to do.
var remedy = regexp.MustCompile(`latchkey db restore|put (it|the newest file|the former one) |run the version that wrote it|put it aside|use the release`)

// try damages a golden folder, opens it, and says what became of it. An error
// is a lie, a crash or a dead end.
func (r *rig) try(t trial) (outcome string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	newest := r.golden.newest()
	s := &r.scratch
	s.file, s.marks = append(s.file[:0], newest.file...), append(s.marks[:0], newest.marks...)
	s.size, s.place = newest.size, nil
	file, marks := s.file, s.marks
	t.damage(s)
	if err := r.lay(s); err != nil {
		return "", fmt.Errorf("the trial itself: %w", err)
	}
	r.laid = *s
	s.file, s.marks = file[:0], marks[:0]
	db, err := storage.Open(r.dir, r.options)
	switch {
	case err != nil && t.truth != nil:
		return "", fmt.Errorf("a store that looks good was refused: %w", err)
	case err != nil:
		return refusal(err), r.refused(err)
	case t.truth != nil:
		return unseen, r.opened(db, *t.truth)
	}
	err = r.opened(db, newest.truth)
	if errors.Is(err, errForgotten) {
		return forgotten, nil
	}
	return harmless, err
}

var errForgotten = errors.New("a kept token is forgotten")

// keep writes what the last trial opened into a folder, for whoever looks into
// it: it can't be made again, since bbolt chooses free pages as it likes.
func (r *rig) keep(dir string) error {
	path := filepath.Join(dir, storage.FileName)
	err := errors.Join(os.WriteFile(path, r.laid.file, 0o600), os.WriteFile(filepath.Join(dir, watermark.Name), r.laid.marks, 0o600))
	if r.laid.size > int64(len(r.laid.file)) {
		err = errors.Join(err, os.Truncate(path, r.laid.size))
	}
	return err
}

// lay puts a state into the folder, in the place of all that is there.
func (r *rig) lay(s *state) error {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, os.ErrNotExist) {
		err = os.Mkdir(r.dir, 0o700)
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(r.dir, e.Name())))
	}
	if s.file != nil {
		path := filepath.Join(r.dir, storage.FileName)
		err = errors.Join(err, os.WriteFile(path, s.file, 0o600))
		if s.size > int64(len(s.file)) {
			err = errors.Join(err, os.Truncate(path, s.size))
		}
	}
	if s.marks != nil {
		err = errors.Join(err, os.WriteFile(filepath.Join(r.dir, watermark.Name), s.marks, 0o600))
	}
	if s.place != nil && err == nil {
		err = s.place(r.dir)
	}
	return err
}

// refused looks at an error of Open, and opens once more: whoever restarts the
// process must be told as clearly, and never get another store.
func (r *rig) refused(first error) error {
	if err := r.clear(first); err != nil {
		return err
	}
	if r.laid.file != nil && r.laid.place == nil {
		if err := r.kept(errors.Is(first, storage.ErrDamaged)); err != nil {
			return fmt.Errorf("%w, after: %w", err, first)
		}
	}
	db, err := storage.Open(r.dir, r.options)
	if err == nil {
		if err := r.opened(db, r.golden.newest().truth); err != nil {
			return fmt.Errorf("opening again gave another store: %w, after: %w", err, first)
		}
		return nil
	}
	want := refusal(first)
	if want == "damaged" {
		want = "missing"
	}
	if is := refusal(err); is != want {
		return fmt.Errorf("opening again: %w, after: %w", err, first)
	}
	return r.clear(err)
}

// clear says what an error lacks.
func (r *rig) clear(err error) error {
	if !strings.Contains(err.Error(), r.dir) {
		return fmt.Errorf("an error without its place: %w", err)
	}
	if !remedy.MatchString(err.Error()) {
		return fmt.Errorf("an error without a remedy: %w", err)
	}
	return nil
}

// kept sees that a refused file is still there: where it was, or in quarantine.
func (r *rig) kept(damaged bool) error {
	path := filepath.Join(r.dir, storage.FileName)
	if damaged {
		names, err := filepath.Glob(path + ".damaged-*")
		if err != nil || len(names) != 1 {
			return fmt.Errorf("in quarantine there is %v (%w)", names, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("a damaged file is still in its place (%w)", err)
		}
		path = names[0]
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	is := make([]byte, len(r.laid.file))
	if _, err := io.ReadFull(f, is); err != nil && len(is) > 0 || !bytes.Equal(is, r.laid.file) {
		return fmt.Errorf("the refused file was changed (%w)", err)
	}
	return nil
}

// opened sees that a store tells the truth, takes a write, and tells it all
// after another start. It closes the store.
func (r *rig) opened(db *storage.DB, want truth) (err error) {
	defer func() { err = errors.Join(err, db.Close()) }()
	is, err := tell(db)
	if err != nil {
		return err
	}
	if want.forgot(is) {
		want.tokens = is.tokens
		defer func() { err = cmp.Or(err, errForgotten) }()
	}
	if diff := want.diff(is); diff != "" {
		return fmt.Errorf("LIE: it was opened and tells another %s", diff)
	}
	if err := db.Check(); err != nil {
		return fmt.Errorf("it was opened and isn't whole: %w", err)
	}
	c, id, err := oneKey()
	if err != nil {
		return err
	}
	if _, err := db.Commit(context.Background(), c); err != nil {
		return fmt.Errorf("it was opened and takes no write: %w", err)
	}
	written, err := tell(db)
	if err != nil {
		return err
	}
	if diff := grown(want.contents, written.contents, id); diff != "" {
		return fmt.Errorf("after a write it tells another %s", diff)
	}
	if err := db.Close(); err != nil {
		return err
	}
	again, err := storage.Open(r.dir, r.options)
	if err != nil {
		return fmt.Errorf("after a write it can't be opened: %w", err)
	}
	defer func() { err = errors.Join(err, again.Close()) }()
	if is, err = tell(again); err != nil {
		return err
	}
	if diff := written.diff(is); diff != "" {
		return fmt.Errorf("after a write and another start it tells another %s", diff)
	}
	return nil
}

// oneKey returns the change that makes one key, with a kept token.
func oneKey() (storage.Change, string, error) {
	token, err := mint.Token(form, rand.Reader)
	if err != nil {
		return storage.Change{}, "", err
	}
	secret := key.Secret{Digest: token.Digest(), Prefix: form.Prefix, Last4: token.Last4()}
	k := key.Issue(key.Record{Policy: "shortkit", Type: "secret", Tenant: "org:o_1", Name: "after the damage"}, secret, start.Add(time.Hour))
	return storage.Change{Keys: []*key.Record{k}, Reveal: map[string]key.Token{k.ID: token}}, k.ID, nil
}

// grown says what but one key differs from what was before.
func grown(before, after contents, id string) string {
	if after.position.Epoch != before.position.Epoch || after.position.Revision != before.position.Revision+1 || after.keys[id] == nil {
		return "position"
	}
	keys := map[string]*key.Record{}
	for name, k := range after.keys {
		if name != id {
			keys[name] = k
		}
	}
	after.keys, after.position = keys, before.position
	return before.diff(after)
}
