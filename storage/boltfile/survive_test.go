package boltfile_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// childEnv, in the environment, makes the test binary a process that lets
// bbolt at the files whose names it reads.
const childEnv = "LATCHKEY_BOLTFILE_TEST_CHILD"

var damages = flag.Int("boltfile.damages", 600, "how many damaged files TestBboltSurvivesWhatWalkTakes makes")

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		names := bufio.NewScanner(os.Stdin)
		for names.Scan() {
			fmt.Println("begin", names.Text())
			yields, err := useUp(names.Text())
			fmt.Printf("end %s %q\n", yields, fmt.Sprint(err))
		}
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// hashed is what walked or cursors gave, in few bytes.
func hashed(list []string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(list, "\n"))))
}

// useUp opens a file as the store does, reads all of it, and commits some 300
// times, until no key is where it was.
func useUp(path string) (yields string, err error) {
	yields = "nothing"
	defer func() {
		// The database stays open: Close would wait for the transaction.
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	o := options(imagePage, !strings.HasSuffix(path, "0"))
	o.InitialMmapSize = 1 << 30
	db, err := bbolt.Open(path, 0o600, o)
	if err != nil {
		return yields, err
	}
	list, err := cursors(db)
	if err != nil {
		return yields, err
	}
	yields = hashed(list)
	if err := change300(db); err != nil {
		return yields, err
	}
	if err := db.View(func(tx *bbolt.Tx) (err error) {
		for e := range tx.Check() {
			err = e // to the last, or the channel is never closed
		}
		return err
	}); err != nil {
		return yields, err
	}
	return yields, db.Close()
}

type place struct{ bucket, key string }

func change300(db *bbolt.DB) error {
	random := rand.New(rand.NewPCG(1, 2))
	var keys []place
	if err := db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(key, _ []byte) error {
				keys = append(keys, place{string(name), string(key)})
				return nil
			})
		})
	}); err != nil {
		return err
	}
	random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	each := len(keys)/300 + 1
	for range 300 {
		if len(keys) == 0 {
			break
		}
		if err := db.Update(func(tx *bbolt.Tx) error {
			for range each {
				if len(keys) == 0 {
					return nil
				}
				at := keys[0]
				keys = keys[1:]
				b := tx.Bucket([]byte(at.bucket))
				var err error
				if random.IntN(4) > 0 {
					err = b.Delete([]byte(at.key))
				} else {
					err = b.Put([]byte(at.key), make([]byte, random.IntN(900)))
				}
				if err == nil {
					err = b.Put(fmt.Appendf(nil, "key %04d, new", random.IntN(500)), make([]byte, random.IntN(60)))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	var names [][]byte
	if err := db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			names = append(names, bytes.Clone(name))
			return nil
		})
	}); err != nil {
		return err
	}
	for i, name := range names {
		if i%2 > 0 {
			continue
		}
		if err := db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(name) }); err != nil {
			return err
		}
	}
	return nil
}

// A damaged file that Walk takes must be one that bbolt can live with, and in
// which it finds what Walk found.
func TestBboltSurvivesWhatWalkTakes(t *testing.T) {
	dir := t.TempDir()
	seed := uint64(rand.Uint32())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	want := map[string]string{}
	told := map[string]int{}
	var names []string
	images := [2][2]image{}
	images[0][0], images[0][1] = build(t, false)
	images[1][0], images[1][1] = build(t, true)
	for i := range *damages {
		pair := images[random.IntN(2)]
		how, m := damage(random, slices.Clone(pair[1]), pair[0])
		name := filepath.Join(dir, fmt.Sprintf("%s-%d", how, i))
		f, err := m.open()
		var list []string
		if err == nil {
			list, _, err = walked(f)
		}
		if err != nil {
			told[how+": Walk tells"]++
			continue
		}
		told[how+": Walk takes"]++
		names = append(names, name)
		want[name] = hashed(list)
		if err := os.WriteFile(name, m, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, how := range slices.Sorted(maps.Keys(told)) {
		t.Logf("%4d %s", told[how], how)
	}
	for len(names) > 0 {
		results := child(t, names)
		for _, r := range results {
			if r.yields != want[r.name] || r.err != "<nil>" {
				t.Errorf("%s: bbolt: %s (the same content: %t)", filepath.Base(r.name), r.err, r.yields == want[r.name])
				continue
			}
			f, err := contents(t, r.name).open()
			if err == nil {
				_, _, err = walked(f)
			}
			if err != nil {
				t.Errorf("%s: after all of bbolt's commits: %v", filepath.Base(r.name), err)
			}
		}
		names = names[len(results):]
	}
}

type result struct{ name, yields, err string }

// child lets bbolt at files in a process of its own, until that dies: the last
// result is then its death.
func child(t *testing.T, names []string) []result {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var results []result
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "begin "); ok {
			first, _, _ := strings.Cut(stderr.String(), "\n")
			results = append(results, result{name: name, err: "death of the process: " + first})
			continue
		}
		last := &results[len(results)-1]
		if _, scanErr := fmt.Sscanf(line, "end %s %q", &last.yields, &last.err); scanErr != nil {
			t.Fatalf("the child said %q: %v", line, scanErr)
		}
	}
	if len(results) == 0 || err == nil && len(results) != len(names) {
		t.Fatalf("the child had %d files and told of %d: %v\n%s", len(names), len(results), err, stderr.String())
	}
	return results
}
