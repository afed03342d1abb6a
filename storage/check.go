package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
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
	c := checker{file: img.view, memory: &db.state}
	if v := judge(img, marks); !v.caughtUp {
		c.wrong("the watermark isn't that of the file: %w", v.err)
	}
	if extent := (logExtent{img.floor, img.logSize}); extent != db.log {
		c.wrong("log: memory has %v, the file %v", db.log, extent)
	}
	c.compare()
	return errors.Join(c.errs...)
}

type checker struct {
	file, memory *View // not changed while the checker is the writer
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
		{"keys", c.file.keys, c.memory.keys},
		{"digests", c.file.digests, c.memory.digests},
		{"tenants", c.file.tenants, c.memory.tenants},
		{"principals", c.file.principals, c.memory.principals},
		{"policies", c.file.documents, c.memory.documents},
		{"count of keys that aren't revoked", c.file.unrevoked, c.memory.unrevoked},
		{"order of keys", slices.Sorted(maps.Keys(c.file.keys)), slices.Concat(c.memory.order.runs...)},
	} {
		if !reflect.DeepEqual(m.file, m.memory) && !bothEmpty(m.file, m.memory) {
			c.wrong("%s: memory differs from the file", m.what)
		}
	}
	for d, r := range c.memory.digests {
		if c.memory.keys[r.ID] != r {
			c.wrong("digest %s leads to another record than its key %.64q", d, r.ID)
		}
	}
}

// bothEmpty reports whether both are empty slices, nil or not.
func bothEmpty(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	return x.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0
}
