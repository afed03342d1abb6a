package storage_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
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
		next, secret := mint(t)
		rotated, err := lookUp(db, r.ID).Rotate(secret, 0, start)
		if err != nil {
			t.Fatal(err)
		}
		commit(t, db, storage.Change{Keys: []*key.Record{rotated}, Action: "keys.rotate"})
		secrets = append(secrets, token, next)
	}
	storagetest.Close(t, db)

	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("files in the folder: %v, %v", entries, err)
	}
	file, err := os.ReadFile(filepath.Join(dir, storage.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(file, []byte(shownToken.Reveal())) {
		t.Error("the token to be shown again isn't in the file: this test sees nothing")
	}
	for _, token := range secrets {
		text := token.Reveal()
		// Neither the token nor what is secret of it.
		if bytes.Contains(file, []byte(text[len(form.Prefix):len(form.Prefix)+12])) {
			t.Fatal("a token is in the file")
		}
	}
}
