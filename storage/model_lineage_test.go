package storage_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
)

// putSet is what one revision puts, by kind and name; nil where it removes.
type putSet map[string][]byte

// put remembers a message or a document.
func (c *putSet) put(kind, name string, value any) {
	if *c == nil {
		*c = putSet{}
	}
	var b []byte
	switch v := value.(type) {
	case nil:
	case []byte:
		b = append([]byte{}, v...)
	case proto.Message:
		b, _ = proto.MarshalOptions{Deterministic: true}.Marshal(v)
		b = append([]byte{}, b...)
	}
	(*c)[kind+" "+name] = b
}

// logged is a log entry as the model has it.
type logged struct {
	position storage.Position
	action   string
	puts     putSet
}

// saved is a copy of the store, and what became of its objects since: what the
// watermark is to know of them.
type saved struct {
	path string // of the copy; a backup and the bare file are alike
	contents
	tokens map[string]key.Token
	log    []logged

	keys       map[string]*key.Record
	tenants    map[string]*directory.Tenant // nil where it was removed
	principals map[string]*directory.Principal
}

// logged adds a log entry to the model, and tells all copies what they lack.
func (m *machine) logged(at storage.Position, action string, puts putSet) {
	m.log = append(m.log, logged{at, action, puts})
	for _, s := range m.saved {
		for name := range puts {
			kind, id, _ := strings.Cut(name, " ")
			switch kind {
			case "key":
				s.keys[id] = m.model.keys[id]
			case "tenant":
				s.tenants[id] = m.model.tenants[id]
			case "principal":
				s.principals[id] = m.model.principals[id]
			}
		}
	}
}

// checkLog compares the log with the model's, entry by entry.
func (m *machine) checkLog(t *rapid.T) {
	entries, err := m.db.Log(0, 1<<20)
	if err != nil || len(entries) != len(m.log) {
		t.Fatalf("%d log entries, want %d; %v", len(entries), len(m.log), err)
	}
	kinds := map[logv1.Kind]string{
		logv1.Kind_KIND_KEY: "key", logv1.Kind_KIND_TENANT: "tenant",
		logv1.Kind_KIND_PRINCIPAL: "principal", logv1.Kind_KIND_POLICY: "policy",
	}
	for i, e := range entries {
		want := m.log[i]
		got := storage.Position{Epoch: e.GetEpoch(), Revision: e.GetRevision(), Digest: storage.Digest(e.GetDigest())}
		if got != want.position || e.GetAction() != want.action || len(e.GetPuts()) != len(want.puts) {
			t.Fatalf("log entry %d: %v, want %+v", i, e, want)
		}
		for _, p := range e.GetPuts() {
			value, ok := want.puts[kinds[p.GetKind()]+" "+p.GetName()]
			if !ok || p.GetRemoved() != (value == nil) || string(p.GetValue()) != string(value) {
				t.Fatalf("log entry %d: %v %q", i, p, value)
			}
		}
	}
}

// Save keeps a copy for later: a backup, or the bare file put aside.
func (m *machine) Save(t *rapid.T) {
	s := &saved{
		path: filepath.Join(m.dir+"-saved", fmt.Sprint(len(m.log), "-", m.now.UnixNano())),
		contents: contents{
			position: m.model.position, keys: maps.Clone(m.model.keys), tenants: maps.Clone(m.model.tenants),
			principals: maps.Clone(m.model.principals), documents: maps.Clone(m.model.documents),
		},
		tokens: maps.Clone(m.tokens), log: slices.Clone(m.log),
		keys: map[string]*key.Record{}, tenants: map[string]*directory.Tenant{}, principals: map[string]*directory.Principal{},
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		t.Fatalf("%v", err)
	}
	if rapid.Bool().Draw(t, "backup") {
		if at := backUp(t, m.db, s.path); at != m.model.position {
			t.Fatalf("the backup is of %v, want %v", at, m.model.position)
		}
	} else if err := os.WriteFile(s.path, readFiles(t, m.dir)[storage.FileName], 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	m.saved = append(m.saved, s)
	m.now = m.now.Add(1)
}

// older draws a copy, nil if there is none.
func (m *machine) older(t *rapid.T) *saved {
	if len(m.saved) == 0 {
		return nil
	}
	return m.saved[rapid.IntRange(0, len(m.saved)-1).Draw(t, "copy")]
}

// Restore goes back to a copy by the command.
func (m *machine) Restore(t *rapid.T) {
	s := m.older(t)
	if s == nil {
		return
	}
	before := m.model.position
	mustClose(t, m.db)
	done, err := storage.Restore(m.dir, s.path, m.options())
	if err != nil {
		t.Fatalf("restoring: %v", err)
	}
	m.open(t)
	lost := m.goOn(t, s, "db.restore")
	if got := named(done.Withdrawn); !slices.Equal(got, lost) || done.Unknown || done.Backup != s.position || done.Known != before || done.At != m.model.position {
		t.Fatalf("it tells %+v, and lost was %v", done, lost)
	}
}

// Rollback puts a copy in the place of the store's file.
func (m *machine) Rollback(t *rapid.T) {
	s := m.older(t)
	if s == nil {
		return
	}
	mustClose(t, m.db)
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	readFiles(t, m.dir).with(storage.FileName, file).into(t, m.dir)
	accept := m.options()
	accept.AcceptRollback = true
	if s.position == m.model.position {
		m.db = mustOpen(t, m.dir, accept) // it is the newest
		return
	}
	_, lost := m.since(s)
	_, err = storage.Open(m.dir, m.options())
	checkRollbackError(t, err, lost)
	m.db = mustOpen(t, m.dir, accept)
	m.goOn(t, s, "db.accept-rollback")
	if got := named(m.db.Withdrawn()); !slices.Equal(got, lost) {
		t.Fatalf("it tells of %v, and lost was %v", got, lost)
	}
}

// since returns what becomes of a copy, and what it lost.
func (m *machine) since(s *saved) (want contents, lost []string) {
	now := contents{keys: maps.Clone(s.contents.keys), tenants: maps.Clone(s.contents.tenants), principals: maps.Clone(s.contents.principals)}
	maps.Copy(now.keys, s.keys)
	maps.Copy(now.tenants, s.tenants)
	maps.Copy(now.principals, s.principals)
	return takeAway(s.contents, now)
}

// goOn makes the model what the store is to be once it goes on from a copy.
func (m *machine) goOn(t *rapid.T, s *saved, action string) (lost []string) {
	want, lost := m.since(s)
	at, before := m.db.Position(), m.model.position
	if at.Epoch <= before.Epoch || at.Revision != s.position.Revision+1 {
		t.Fatalf("it is at %v; it was at %v, and the copy at %v", at, before, s.position)
	}
	gone := m.digests
	want.position, want.documents = at, maps.Clone(s.documents)
	m.model, m.tokens, m.digests = want, map[string]key.Token{}, map[key.Digest]string{}
	for id, r := range want.keys {
		for _, secret := range r.Secrets {
			m.digests[secret.Digest] = id
			delete(gone, secret.Digest)
		}
		if token, ok := s.tokens[id]; ok && r.Revoked.IsZero() && token.Digest() == r.Current().Digest {
			m.tokens[id] = token
		}
	}
	m.db.View(func(v *storage.View) {
		for digest, id := range gone {
			if v.Lookup(digest, &key.Facts{}) {
				t.Fatalf("a secret of key %s, which was made later, leads somewhere", id)
			}
		}
	})
	var puts putSet
	for _, name := range lost {
		switch kind, id, _ := strings.Cut(name, " "); {
		case kind == "key":
			puts.put(kind, id, want.keys[id].ToProto())
		case kind == "tenant" && want.tenants[id] != nil:
			puts.put(kind, id, want.tenants[id].ToProto())
		case kind == "principal" && want.principals[id] != nil:
			puts.put(kind, id, want.principals[id].ToProto())
		default:
			puts.put(kind, id, nil)
		}
	}
	m.log = slices.Clone(s.log)
	m.logged(at, action, puts)
	return lost
}

// CutOff ends the process between the file and the watermark of its newest write.
func (m *machine) CutOff(t *rapid.T) {
	before := readFiles(t, m.dir)[markName]
	m.Policy(t)
	if err := errors.Join(m.db.Check(), m.db.Close()); err != nil {
		t.Fatalf("closing: %v", err)
	}
	readFiles(t, m.dir).with(markName, before).into(t, m.dir)
	m.open(t)
}
