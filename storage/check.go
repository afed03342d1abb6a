package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage/table"
)

// Check compares the files with themselves, with each other and with memory:
// whether a new Open would find what Views see. It returns what is wrong, all
// of it as far as it can be told apart. Writers wait for it, Views don't.
func (db *DB) Check() error {
	if err := db.lock(context.Background()); err != nil {
		return err
	}
	defer db.unlock()
	if err := db.resolve(); err != nil {
		return err
	}
	img, err := readFileDeep(db.folder.file())
	if err != nil {
		return err
	}
	marks, err := readMarks(db.folder.watermark())
	if err != nil {
		return err
	}
	c := checker{file: img.view, memory: db.Now(), numbers: db.shapes}
	// A replica that was recovered has the watermark that it was found with, and
	// says so by Recovered.
	found := db.options.Replica && (db.marks == nil || db.marked != db.Position())
	if v := judge(img, marks); !v.caughtUp && !found {
		c.wrong("the watermark isn't that of the file: %w", v.err)
	}
	if extent := (logExtent{img.floor, img.logSize}); extent != db.log {
		c.wrong("log: memory has %v, the file %v", db.log, extent)
	}
	c.compare()
	return errors.Join(c.errs...)
}

type checker struct {
	file, memory *View
	numbers      *shapes // not changed while the checker is the writer
	errs         []error
}

func (c *checker) wrong(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *checker) compare() {
	for _, m := range []struct {
		what         string
		file, memory any
	}{
		{"position", c.file.position, c.memory.position},
		{"newest time", c.file.latest, c.memory.latest},
		{"policies", c.file.documents, c.memory.documents},
		{"count of keys", c.file.all, c.memory.all},
		{"count of keys that aren't revoked", c.file.unrevoked, c.memory.unrevoked},
		{"count of secrets", c.file.keys.rows.Len(), c.memory.keys.rows.Len()},
		{"count of tenants", c.file.tenants.Len(), c.memory.tenants.Len()},
		{"count of principals", c.file.principals.Len(), c.memory.principals.Len()},
	} {
		if !reflect.DeepEqual(m.file, m.memory) {
			c.wrong("%s: memory has %v, the file %v", m.what, m.memory, m.file)
		}
	}
	// There are as many of each: all of one are in the other.
	var is, was key.Facts
	c.file.keys.rows.Each(func(row []byte) bool {
		c.file.keys.facts(row, &is)
		if d := key.Digest(rowDigest(row)); !c.memory.Lookup(d, &was) || !reflect.DeepEqual(is, was) {
			c.wrong("key %.64q, digest %s: memory differs from the file", is.ID, d)
		}
		return len(c.errs) < maxProblems
	})
	same := func(what string, file, memory *table.Table) {
		file.Each(func(entry []byte) bool {
			if name := directory.PackedName(entry); !bytes.Equal(memory.Get(name), entry) {
				c.wrong("%s %.64q: memory differs from the file", what, name)
			}
			return len(c.errs) < maxProblems
		})
	}
	same("tenant", c.file.tenants, c.memory.tenants)
	same("principal", c.file.principals, c.memory.principals)
	c.shapes()
}

// shapes checks the writer's account of which shapes are in use.
func (c *checker) shapes() {
	uses := make([]int, len(c.numbers.list))
	c.memory.keys.rows.Each(func(row []byte) bool {
		_, _, number := readRow(row)
		uses[number]++
		return true
	})
	if !slices.Equal(uses, c.numbers.uses) {
		c.wrong("shapes: memory counts other uses of them than there are")
	}
}
