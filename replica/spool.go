package replica

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/latchkey/latchkey/storage"
)

const (
	// spoolName is the file in the data folder that snapshots are written to. It loses its name at once.
	spoolName = "latchkey.db.spool"
	// spoolTime is how long the making of a snapshot may take.
	spoolTime = 5 * time.Minute
	// spoolIdle is how long a snapshot is kept that nobody asks for.
	spoolIdle = 10 * time.Minute
	// spoolFresh is how long a snapshot that isn't of the newest position is handed out, or ten times what it took to make.
	spoolFresh = 30 * time.Second
	// spoolBehind is how many revisions a snapshot may be behind and still be handed out: what follows it is sent as entries.
	spoolBehind = 20_000
)

// spools makes snapshots: each is written to a file by one short read of the store, and sent from there to all
// who need one, however slowly they read.
type spools struct {
	db     *storage.DB
	folder string
	turn   chan struct{} // held, by having sent to it, by who makes one

	mu     sync.Mutex
	newest *spool
	made   int
}

// spool is a snapshot in a file without a name.
type spool struct {
	storage.Exported
	file  *os.File
	bytes int64
	sum   [sha256.Size]byte

	made time.Time
	took time.Duration
	used time.Time // guarded by spools.mu, as are the users: the spools count as one
	refs int
}

func newSpools(db *storage.DB, folder string) *spools {
	return &spools{db: db, folder: folder, turn: make(chan struct{}, 1)}
}

// get returns a snapshot that entries lead on from, and, where that is asked for, one of the newest position: to whom
// an older one is no help. It must be released.
func (s *spools) get(ctx context.Context, newest bool) (*spool, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if one := s.take(newest); one != nil {
		return one, nil
	}
	one, err := s.make(ctx)
	if err != nil {
		return nil, fmt.Errorf("making a snapshot of the store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	s.drop()
	one.refs, one.used, s.newest = 2, time.Now(), one
	return one, nil
}

// take returns the newest snapshot, if it will do.
func (s *spools) take(newest bool) *spool {
	s.mu.Lock()
	one := s.newest
	s.mu.Unlock()
	if one == nil || one.Position != s.db.Position() && (newest || time.Since(one.made) > max(spoolFresh, 10*one.took) || one.Position.Revision+spoolBehind < s.db.Position().Revision) {
		return nil
	}
	if _, err := s.db.Since(one.Position, 1); err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if one != s.newest { // it was dropped meanwhile
		return nil
	}
	one.refs++
	one.used = time.Now()
	return one
}

// make writes a snapshot.
func (s *spools) make(ctx context.Context) (_ *spool, err error) {
	ctx, cancel := context.WithTimeout(ctx, spoolTime)
	defer cancel()
	path := filepath.Join(s.folder, spoolName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	began := time.Now()
	one := &spool{file: file}
	sum := sha256.New()
	to := io.MultiWriter(file, sum)
	packer, err := zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(snapshotWindow))
	if err != nil {
		return nil, err
	}
	if one.Exported, err = s.db.Export(ctx, packer); err != nil {
		return nil, errors.Join(err, packer.Close())
	}
	if err := packer.Close(); err != nil {
		return nil, err
	}
	if one.bytes, err = file.Seek(0, io.SeekCurrent); err != nil {
		return nil, err
	}
	sum.Sum(one.sum[:0])
	one.made, one.took = time.Now(), time.Since(began)
	return one, nil
}

// release says that a user is done with a snapshot.
func (s *spools) release(one *spool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unref(one)
}

func (s *spools) unref(one *spool) {
	if one.refs--; one.refs == 0 {
		_ = one.file.Close() // it was read from
	}
}

// drop lets go of the newest snapshot. The mutex must be held.
func (s *spools) drop() {
	if s.newest != nil {
		s.unref(s.newest)
		s.newest = nil
	}
}

// tidy lets go of a snapshot that nobody has asked for in a while.
func (s *spools) tidy(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest != nil && now.Sub(s.newest.used) > spoolIdle {
		s.drop()
	}
}

// close lets go of all that nobody uses.
func (s *spools) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}
