package storage_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
	"github.com/latchkey/latchkey/storage/watermark"
)

func TestTheFileHoldsNoToken(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	shown, shownToken := issue(t)
	commit(t, db, storage.Change{Keys: []*key.Record{shown}, Reveal: map[string]key.Token{shown.ID: shownToken}})
	var secrets []key.Token
	for range 20 {
		r, token := issue(t)
		commit(t, db, storage.Change{Keys: []*key.Record{r}, Action: "keys.create"})
		next, secret := minted(t)
		rotated, err := lookUp(db, r.ID).Rotate(secret, 0, start)
		if err != nil {
			t.Fatal(err)
		}
		commit(t, db, storage.Change{Keys: []*key.Record{rotated}, Action: "keys.rotate"})
		secrets = append(secrets, token, next)
	}
	storagetest.Close(t, db)

	for _, name := range []string{storage.FileName, watermark.Name} {
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if found := bytes.Contains(file, []byte(shownToken.Reveal())); found != (name == storage.FileName) {
			t.Errorf("%s: the token to be shown again is in it: %v", name, found)
		}
		for _, token := range secrets {
			text := token.Reveal()
			// Neither the token nor what is secret of it.
			if bytes.Contains(file, []byte(text[len(form.Prefix):len(form.Prefix)+12])) {
				t.Fatalf("a token is in %s", name)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("files in the folder: %v, %v", entries, err)
	}
}
