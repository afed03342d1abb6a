package storage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
)

// victim is a process whose store has a mishap.
type victim struct {
	dir    string
	db     *storage.DB
	before truth
	made   map[string]*key.Record // by this process
	report report
	writes int

	overwritten bool // whether there may be damage that bbolt doesn't know of
}

// haveMishap is the life of the process: it returns what is printed.
func haveMishap(dir, spec string) error {
	// Where it hangs, it tells.
	debug.SetTraceback("all")
	defer time.AfterFunc(mishapLimit/2, func() { panic("the process hangs") }).Stop()
	var m mishap
	if err := json.Unmarshal([]byte(spec), &m); err != nil {
		return err
	}
	v := &victim{dir: dir, made: map[string]*key.Record{}, overwritten: m.What == "overwritten" && m.Name == storage.FileName, report: report{Refusals: map[string]int{}}}
	var err error
	if v.db, err = storage.Open(dir, goldenOptions(start.Add(24*time.Hour))); err != nil {
		return err
	}
	if v.before, err = tell(v.db); err != nil {
		return err
	}
	if m.Before {
		if v.write(); len(v.report.Acknowledged) != 1 {
			return fmt.Errorf("a good store refused a write: %v", v.report.Refusals)
		}
	}
	undo, err := m.do(dir)
	if err != nil {
		return err
	}
	v.exercise()
	if m.Repair {
		if err := undo(); err != nil {
			return err
		}
		v.exercise()
	}
	v.report.Checked = v.db.Check() == nil
	_ = v.db.Close() // a file that was cut off can say no
	v.look("after closing")
	return json.NewEncoder(os.Stdout).Encode(v.report)
}

// do makes it happen, and returns what puts things back.
func (m mishap) do(dir string) (undo func() error, err error) {
	path := filepath.Join(dir, m.Name)
	was, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	away := path + ".away"
	switch m.What {
	case "truncated":
		// What was written behind since then stays.
		undo = func() error {
			if err := writeInto(path, bytes.TrimRight(was[m.At:], "\x00"), m.At); err != nil {
				return err
			}
			info, err := os.Stat(path)
			if err == nil && info.Size() < int64(len(was)) {
				err = os.Truncate(path, int64(len(was)))
			}
			return err
		}
		err = os.Truncate(path, m.At)
	case "overwritten":
		undo = func() error {
			// Unless the store wrote there since; one byte could be the same by chance.
			is, err := os.ReadFile(path)
			damaged := bytes.Clone(was)
			copy(damaged[m.At:], m.Noise)
			from, to := m.At&^127, m.At&^127+128
			if err == nil && bytes.Equal(is[from:to], damaged[from:to]) {
				err = writeInto(path, was[m.At:][:len(m.Noise)], m.At)
			}
			return err
		}
		err = writeInto(path, m.Noise, m.At)
	case "removed":
		err = os.Remove(path)
	case "moved":
		undo = func() error { return os.Rename(away, path) }
		err = os.Rename(path, away)
	case "replaced":
		undo = func() error { return os.Rename(away, path) }
		err = errors.Join(os.Rename(path, away), os.WriteFile(path, was, 0o600))
	default:
		err = errors.New("no such mishap")
	}
	return undo, err
}

// writeInto writes into a file that is there.
func writeInto(path string, b []byte, at int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	return errors.Join(err, f.Close())
}

func (v *victim) lie(format string, args ...any) {
	v.report.Lies = append(v.report.Lies, fmt.Sprintf(format, args...))
}

// exercise asks for everything, several times: what one call breaks is what the
// next one meets.
func (v *victim) exercise() {
	for round := range 3 {
		v.look(fmt.Sprint("in round ", round))
		v.tokens()
		v.log()
		v.backup(fmt.Sprint("backup", v.writes))
		_ = v.db.Check()
		mended := v.db.Mend(context.Background())
		v.write()
		if mended == nil && !v.report.Mended && !v.overwritten {
			v.lie("Mend found nothing, and the next write failed")
		}
	}
}

// look sees that views are what they were, and what was acknowledged since.
// Records of keys may be refused, since they are read from the file; what checks
// go by may not.
func (v *victim) look(when string) {
	for id, r := range v.before.keys {
		if !asStored(v.db.Now(), r) {
			v.lie("%s, checks see another key %s", when, id)
		}
		var is *key.Record
		var err error
		v.db.View(func(view *storage.View) { is, err = view.Key(id) })
		if is == nil && err == nil && v.db.Missing(id) == nil {
			v.lie("%s, the key %s is told not to be there", when, id)
		}
	}
	for _, id := range v.report.Acknowledged {
		if !asStored(v.db.Now(), v.made[id]) {
			v.lie("%s, checks don't see the acknowledged key %s", when, id)
		}
	}
	is := dump(v.db)
	if is.unread != nil {
		for id, r := range is.keys {
			if was := v.before.keys[id]; was != nil && !sameKey(was, r) {
				v.lie("%s, the key %s is read as another", when, id)
			}
		}
		is.keys = v.before.keys
	}
	if diff := v.before.diffWithout(is, append(v.report.Acknowledged, v.report.Unknown...)); diff != "" {
		v.lie("%s, %s differ", when, diff)
	}
	for _, id := range v.report.Acknowledged {
		if is.keys[id] == nil && is.unread == nil {
			v.lie("%s, the acknowledged key %s isn't seen", when, id)
		}
	}
}

// tokens must be those that were kept, or not be told.
func (v *victim) tokens() {
	for id := range v.before.keys {
		token, ok, err := v.db.RevealedToken(id)
		want := v.before.tokens[id]
		switch {
		case err != nil:
		case !ok && want != "" && v.overwritten:
			// bbolt looked in a damaged page, which nothing tells from one that
			// never had it.
			v.report.Forgotten++
		case ok != (want != "") || ok && token.Reveal() != want:
			v.lie("the token of %s is told as kept: %v", id, ok)
			return
		}
	}
}

// log must be the one that was, or not be told.
func (v *victim) log() {
	for _, want := range v.before.log {
		got, err := v.db.Log(want.GetRevision()-1, 1)
		if err != nil {
			continue
		}
		if len(got) != 1 || !proto.Equal(got[0], want) {
			v.lie("after revision %d the log has %d others", want.GetRevision()-1, len(got))
			return
		}
	}
}

// backup must be a good one, or none.
func (v *victim) backup(name string) {
	path := filepath.Join(filepath.Dir(v.dir), name)
	at, err := v.db.Backup(context.Background(), path)
	if err == nil {
		verified, err := storage.Verify(path)
		if err != nil || len(verified.Problems) > 0 || verified.Position != at || at != v.db.Position() {
			v.lie("a backup at %s isn't one: %v %v", at, verified, err)
		}
		_ = os.Remove(path) // or with the folder
	} else if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		v.lie("a backup that failed left a file")
	}
}

// write tries one key.
func (v *victim) write() {
	v.writes++
	c, id, err := oneKey()
	if err != nil {
		v.lie("%v", err)
		return
	}
	v.made[id] = c.Keys[0]
	_, err = v.db.Commit(context.Background(), c)
	v.report.Mended = err == nil
	switch {
	case err == nil:
		v.report.Acknowledged = append(v.report.Acknowledged, id)
		return
	case errors.Is(err, storage.ErrFailed):
		v.report.Unknown = append(v.report.Unknown, id)
		v.report.Refusals["failed"]++
	case errors.Is(err, storage.ErrMoved):
		v.refused(id, "moved")
	case errors.Is(err, storage.ErrDamaged):
		v.refused(id, "damaged")
	case errors.Is(err, storage.ErrDisk):
		v.refused(id, "disk")
	default:
		v.lie("a write was refused by %v", err)
	}
}

func (v *victim) refused(id, word string) {
	v.report.Refused = append(v.report.Refused, id)
	v.report.Refusals[word]++
}
