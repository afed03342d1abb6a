package storage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protodelim"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// Exported is what an Export wrote.
type Exported struct {
	Position Position
	Latest   time.Time // when the revision of that position was written; zero before the first
	Objects  uint64
	Origin   string // see DB.Origin
}

// Export writes every object as it is at one position: as size-delimited
// latchkey.log.v1.Put (package protodelim), in order of kind and name. Tokens
// that may be shown again are no objects, and are left out. Writes and Views go
// on.
//
// It begins between two writes, so that no position is exported which nobody was
// told of. Then it holds one read transaction, and the store grows as long as
// that lasts: so w must be as fast as a local file, and the context should have
// a time limit. Errors are that of the context, that of w, ErrClosed, ErrFailed,
// and ErrDamaged, which may come at the end: what was written before is worth
// nothing then.
func (db *DB) Export(ctx context.Context, w io.Writer) (Exported, error) {
	if err := db.lock(ctx); err != nil {
		return Exported{}, fmt.Errorf("exporting the store: %w", err)
	}
	letWrite := sync.OnceFunc(db.unlock)
	defer letWrite()
	if err := db.resolve(); err != nil {
		return Exported{}, fmt.Errorf("exporting the store: %w", err)
	}
	state := db.Now()
	e := &exporter{ctx: ctx, to: bufio.NewWriterSize(w, 64<<10)}
	err := db.readFile(func(tx *bbolt.Tx) error {
		letWrite()
		if at, err := storedPosition(tx); err != nil || at != state.position {
			return behind(at, state.position)
		}
		return e.all(tx)
	})
	if p := (*panicError)(nil); errors.As(err, &p) {
		err = &DamageError{Reason: "page", Problems: []error{err}}
	}
	if err == nil && e.digest != state.position.Digest {
		// bbolt believes its pages, and passes over what a damaged one hides.
		err = &DamageError{Reason: "digest", Problems: []error{fmt.Errorf("objects are missing, or older than the rest: restore a backup (latchkey db restore)")}}
	}
	if err == nil {
		err = e.to.Flush()
	}
	if err != nil {
		return Exported{}, fmt.Errorf("exporting the store: %w", err)
	}
	return Exported{Position: state.position, Latest: state.latest, Objects: e.objects, Origin: db.Origin()}, nil
}

// exporter writes the objects of a transaction.
type exporter struct {
	ctx     context.Context
	to      *bufio.Writer
	objects uint64
	digest  Digest // of what was written
}

func (e *exporter) all(tx *bbolt.Tx) error {
	for _, k := range kinds {
		err := tx.Bucket(k.bucket).ForEach(func(name, sealed []byte) error {
			if err := e.ctx.Err(); err != nil {
				return err
			}
			value, err := unseal(k.bucket, name, sealed)
			if err != nil {
				return &DamageError{Reason: "checksum", Problems: []error{fmt.Errorf("%s %.64q: %w", k.bucket, name, err)}}
			}
			o := object{k.kind, string(name)}
			e.digest.add(digestOf(o, value))
			e.objects++
			_, err = protodelim.MarshalTo(e.to, &logv1.Put{Kind: o.kind, Name: o.name, Value: value})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
