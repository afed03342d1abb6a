package storage_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// childFolder, in the environment, makes the test binary a process that writes
// to the store in that folder until it is killed.
const childFolder = "LATCHKEY_STORAGE_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir, spec := os.Getenv(childFolder), os.Getenv(mishapKnob); dir != "" && spec != "" {
		if err := haveMishap(dir, spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	} else if dir != "" && os.Getenv(childHub) != "" {
		err := writeAndFollow(os.Getenv(childHub), dir)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	} else if dir != "" {
		err := write(dir)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// write makes keys, revokes every third, and tells of each write once it is
// acknowledged: "made ID REVISION" or "revoked ID REVISION".
func write(dir string) error {
	db, err := storage.Open(dir, storage.Options{})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		token, err := mint.Token(form, rand.Reader)
		if err != nil {
			return err
		}
		r := key.Issue(key.Record{Policy: "shortkit", Type: "secret", Tenant: "org:o_1"}, key.Secret{Digest: token.Digest()}, time.Now())
		at, err := db.Commit(context.Background(), storage.Change{Keys: []*key.Record{r}})
		if err != nil {
			return err
		}
		fmt.Println("made", r.ID, at.Revision)
		if i%3 > 0 {
			continue
		}
		r.Revision = at.Revision
		if at, err = db.Commit(context.Background(), storage.Change{Keys: []*key.Record{r.Revoke(time.Now())}}); err != nil {
			return err
		}
		fmt.Println("revoked", r.ID, at.Revision)
	}
}

func TestKilledWriterLosesNothing(t *testing.T) {
	kills := 30
	if testing.Short() {
		kills = 5
	}
	dir := storagetest.Dir(t)
	made, revoked := map[string]uint64{}, map[string]uint64{}
	var latest uint64
	for n := range kills {
		after := mathrand.IntN(30)
		if n == kills-1 { // at least as many keys as kills: of four lines three tell of one
			after = max(after, 2*(kills-len(made)))
		}
		for _, line := range writeAndKill(t, dir, after) {
			var what, id string
			var revision uint64
			if _, err := fmt.Sscan(line, &what, &id, &revision); err != nil {
				t.Fatalf("the child said %q", line)
			}
			if revision <= latest {
				t.Fatalf("revision %d was acknowledged twice", revision)
			}
			latest = revision
			switch what {
			case "made":
				made[id] = revision
			case "revoked":
				revoked[id] = revision
			}
		}
		db, err := storage.Open(dir, storage.Options{})
		if err != nil {
			t.Fatalf("after a kill: %v", err)
		}
		// One write more than was told of may have been finished.
		if at := db.Position().Revision; at < latest || at > latest+1 {
			t.Fatalf("revision %d, acknowledged %d", at, latest)
		}
		latest = db.Position().Revision
		db.View(func(v *storage.View) {
			for id, revision := range made {
				want := revision
				r, err := v.Key(id)
				if r == nil || !asStored(v, r) {
					t.Fatalf("key %s of revision %d is lost (%v)", id, revision, err)
				}
				if revoked[id] > 0 {
					want = revoked[id]
				}
				if r.Revision < want || revoked[id] > 0 && r.Revoked.IsZero() {
					t.Fatalf("key %s is at revision %d, want %d", id, r.Revision, want)
				}
			}
		})
		storagetest.Close(t, db)
	}
	t.Logf("%d kills, %d acknowledged keys, %d revocations", kills, len(made), len(revoked))
	if len(made) < kills {
		t.Error("too few writes to mean anything")
	}
}

// writeAndKill runs a writer, kills it some time after so many acknowledged
// writes, and returns all that it told of.
func writeAndKill(t *testing.T, dir string, after int, environment ...string) (lines []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(append(os.Environ(), childFolder+"="+dir), environment...)
	var complaints strings.Builder
	child.Stderr = &complaints
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	read := bufio.NewReader(out)
	for {
		// The writer is somewhere in its next writes when it is killed, and
		// what it still said before is read to the end.
		if len(lines) == after {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := read.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	_ = child.Wait() // killed
	if complaints.Len() > 0 {
		t.Fatalf("the writer: %s", complaints.String())
	}
	return lines
}
