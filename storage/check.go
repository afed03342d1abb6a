package storage

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// Check compares the file with itself and with memory: whether the indexes
// agree with the records, the log is without gaps and ends in what is stored,
// kept tokens are those of their keys, and a new Open would find what Views
// see. It returns what is wrong, all of it as far as it can be told apart.
// Writers wait for it, Views don't. It trusts bbolt's pages: it is made for
// mistakes of programs, not for a damaged disk.
func (db *DB) Check() error {
	if err := db.lock(context.Background()); err != nil {
		return err
	}
	defer db.unlock()
	return db.readFile(func(tx *bbolt.Tx) error {
		c := checker{tx: tx, state: &db.state}
		c.meta()
		stored := c.objects()
		c.memory(stored)
		c.log()
		c.digests()
		c.reveal()
		return errors.Join(c.errs...)
	})
}

type checker struct {
	tx    *bbolt.Tx
	state *View // not changed while the checker is the writer
	errs  []error
}

func (c *checker) wrong(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *checker) meta() {
	for _, m := range []struct {
		name []byte
		want uint64
	}{{metaFormat, formatVersion}, {metaEpoch, c.state.position.Epoch}, {metaRevision, c.state.position.Revision}} {
		if got, err := metaNumber(c.tx, m.name); err != nil || got != m.want {
			c.wrong("meta: %s is %d instead of %d (%v)", m.name, got, m.want, err)
		}
	}
}

// objects returns a view made from the file alone.
func (c *checker) objects() *View {
	d := &delta{}
	for _, kind := range kinds {
		_ = c.tx.Bucket(bucketOf(kind)).ForEach(func(name, value []byte) error {
			if err := d.add(&logv1.Put{Kind: kind, Name: string(name), Value: value}); err != nil {
				c.errs = append(c.errs, err)
			}
			return nil
		})
	}
	v := newView()
	if len(c.errs) > 0 {
		return v
	}
	if err := v.admit(d); err != nil {
		c.errs = append(c.errs, err)
	}
	v.apply(d)
	return v
}

func (c *checker) memory(stored *View) {
	for _, m := range []struct {
		what         string
		file, memory any
	}{
		{"keys", stored.keys, c.state.keys},
		{"digests", stored.digests, c.state.digests},
		{"tenants", stored.tenants, c.state.tenants},
		{"principals", stored.principals, c.state.principals},
		{"policies", stored.documents, c.state.documents},
		{"count of keys that aren't revoked", stored.unrevoked, c.state.unrevoked},
		{"order of keys", slices.Sorted(maps.Keys(stored.keys)), slices.Concat(c.state.order.runs...)},
	} {
		if !reflect.DeepEqual(m.file, m.memory) && !bothEmpty(m.file, m.memory) {
			c.wrong("%s: memory differs from the file", m.what)
		}
	}
	for d, r := range c.state.digests {
		if c.state.keys[r.ID] != r {
			c.wrong("digest %s leads to another record than its key %.64q", d, r.ID)
		}
	}
	for id, r := range c.state.keys {
		if r.Revision == 0 || r.Revision > c.state.position.Revision {
			c.wrong("key %.64q has the revision %d", id, r.Revision)
		}
	}
}

// bothEmpty reports whether both are empty slices, nil or not.
func bothEmpty(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	return x.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0
}

// log sees that the entries follow each other and that the newest one of an
// object holds the bytes that are stored.
func (c *checker) log() {
	next := uint64(1)
	var latest time.Time
	last := map[object][sha256.Size]byte{}
	_ = c.tx.Bucket(bucketLog).ForEach(func(name, value []byte) error {
		var e logv1.Entry
		if err := proto.Unmarshal(value, &e); err != nil {
			c.wrong("log entry %x: %w", name, err)
			return nil
		}
		if len(name) != 8 || binary.BigEndian.Uint64(name) != next || e.GetRevision() != next {
			c.wrong("log: entry %d is stored as %x where %d should be", e.GetRevision(), name, next)
		}
		if at := e.GetAt().AsTime(); at.Before(latest) {
			c.wrong("log: entry %d is older than the one before it", e.GetRevision())
		} else {
			latest = at
		}
		for _, p := range e.GetPuts() {
			if o := (object{p.GetKind(), p.GetName()}); p.GetRemoved() {
				delete(last, o)
			} else {
				last[o] = sha256.Sum256(p.GetValue())
			}
		}
		next++
		return nil
	})
	if next != c.state.position.Revision+1 {
		c.wrong("log: it has %d entries at revision %d", next-1, c.state.position.Revision)
	}
	if !latest.Equal(c.state.latest) {
		c.wrong("log: its newest time is %s, memory has %s", latest, c.state.latest)
	}
	for _, kind := range kinds {
		_ = c.tx.Bucket(bucketOf(kind)).ForEach(func(name, value []byte) error {
			o := object{kind, string(name)}
			if sum, ok := last[o]; !ok || sum != sha256.Sum256(value) {
				c.wrong("%s: the log has other bytes for it", o)
			}
			delete(last, o)
			return nil
		})
	}
	for o := range last {
		c.wrong("%s: it is in the log and isn't stored", o)
	}
}

func (c *checker) digests() {
	count := 0
	_ = c.tx.Bucket(bucketDigests).ForEach(func(name, id []byte) error {
		count++
		r := c.state.keys[string(id)]
		if r == nil || len(name) != len(key.Digest{}) || c.state.digests[key.Digest(name)] != r {
			c.wrong("digests: %.8x leads to %.64q, which hasn't got it", name, id)
		}
		return nil
	})
	if count != len(c.state.digests) {
		c.wrong("digests: there are %d, and %d in the records", count, len(c.state.digests))
	}
}

func (c *checker) reveal() {
	_ = c.tx.Bucket(bucketReveal).ForEach(func(id, token []byte) error {
		if r := c.state.keys[string(id)]; r == nil || !mayKeep(r, key.NewToken(string(token))) {
			c.wrong("reveal: the token of %.64q isn't the current one of an unrevoked key", id)
		}
		return nil
	})
}
