package replica

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

const (
	// snapshotWindow is how far back compression refers, at a hub; a replica accepts no more.
	snapshotWindow = 1 << 20
	// snapshotMemory bounds what a replica takes for unpacking.
	snapshotMemory = 64 << 20
	// A snapshot unpacks to unpackedRatio times its size at most, and small ones to unpackedLeast: what is honest
	// packs to a fifth or so, and a hub must not be able to fill the disk by a few bytes.
	unpackedRatio = 100
	unpackedLeast = 64 << 20
	// maxSnapshot is the largest snapshot that is fetched, packed.
	maxSnapshot = 64 << 30
	// tellEvery is how often a long fetch is told about.
	tellEvery = 5 * time.Second
)

// errSnapshot is returned for a snapshot that isn't whole.
var errSnapshot = errors.New("the snapshot isn't whole, and is thrown away")

// errUnpacked is returned for a snapshot that unpacks to more than it may.
var errUnpacked = errors.New("it unpacks to far more than it is")

// fetch is a snapshot that is coming.
type fetch struct {
	at     storage.Position
	size   uint64
	got    uint64
	staged *storage.Staged
	sum    hash.Hash
	pipe   *io.PipeWriter
	done   chan error // of the unpacking
	began  time.Time
	told   time.Time
	log    *slog.Logger
}

func (c *connection) beginSnapshot(m *replicav1.SnapshotBegin) error {
	f := c.f
	at, err := readPosition(m.GetPosition())
	if err != nil {
		return err
	}
	if m.GetBytes() > maxSnapshot {
		return fmt.Errorf("%w: it says that it has %d bytes", errSnapshot, m.GetBytes())
	}
	if err := f.state.SnapshotBegan(at); err != nil {
		return err
	}
	staged, err := f.o.DB.Stage(at, m.GetAt().AsTime(), c.origin)
	if err != nil {
		return err
	}
	from, to := io.Pipe()
	c.fetch = &fetch{at: at, size: m.GetBytes(), staged: staged, sum: sha256.New(), pipe: to, done: make(chan error, 1), began: time.Now(), told: time.Now(), log: f.log}
	go func() { c.fetch.done <- unpack(from, staged, max(unpackedLeast, unpackedRatio*int64(m.GetBytes()))) }()
	f.log.Info("fetching a snapshot", "hub", c.hub.Name, "revision", at.Revision, "bytes", m.GetBytes())
	return nil
}

// unpack writes what comes, unpacked, and no more than it may be.
func unpack(from *io.PipeReader, to io.Writer, most int64) error {
	d, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(snapshotWindow), zstd.WithDecoderMaxMemory(snapshotMemory))
	if err == nil {
		var n int64
		if n, err = io.Copy(to, io.LimitReader(d, most+1)); err == nil && n > most {
			err = errUnpacked
		}
		d.Close()
	}
	from.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // whoever still writes is told
	return err
}

// chunk takes the next part.
func (f *fetch) chunk(m *replicav1.SnapshotChunk) error {
	if f.got += uint64(len(m.GetData())); f.got > f.size {
		return fmt.Errorf("%w: more came than the %d bytes that were announced", errSnapshot, f.size)
	}
	if crc32.Checksum(m.GetData(), castagnoli) != m.GetCrc32C() {
		return fmt.Errorf("%w: the checksum of a part is wrong at byte %d", errSnapshot, f.got)
	}
	_, _ = f.sum.Write(m.GetData()) // never fails
	if time.Since(f.told) > tellEvery {
		f.told = time.Now()
		f.log.Info("a snapshot is coming", "revision", f.at.Revision, "bytes", f.got, "of", f.size)
	}
	if _, err := f.pipe.Write(m.GetData()); err != nil {
		return f.broken(err)
	}
	return nil
}

// broken returns why unpacking ended.
func (f *fetch) broken(err error) error {
	select {
	case why := <-f.done:
		f.done <- nil
		if why != nil {
			err = why
		}
	default:
	}
	return fmt.Errorf("%w: %w", errSnapshot, err)
}

// discard throws away what came.
func (f *fetch) discard() {
	_ = f.pipe.CloseWithError(context.Canceled)
	<-f.done
	_ = f.staged.Discard() // what is left is removed by the next start
}

// endSnapshot makes a snapshot the store, if it is whole.
func (c *connection) endSnapshot(m *replicav1.SnapshotEnd) error {
	f, s := c.fetch, c.f
	switch {
	case f.got != f.size:
		return fmt.Errorf("%w: it has %d bytes of %d", errSnapshot, f.got, f.size)
	case !bytes.Equal(f.sum.Sum(nil), m.GetSha256()):
		return fmt.Errorf("%w: its checksum is wrong", errSnapshot)
	}
	if err := f.pipe.Close(); err != nil {
		return f.broken(err)
	}
	err := <-f.done
	f.done <- nil
	if err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	if err := f.staged.Finish(c.ctx); err != nil {
		return c.refused(err)
	}
	if n := f.staged.Objects(); n != m.GetObjects() {
		return fmt.Errorf("%w: it has %d objects of %d", errSnapshot, n, m.GetObjects())
	}
	older := s.state.AcceptOlder
	if err := s.returning(f.staged.Returning(), older); err != nil {
		return c.refused(err)
	}
	at, err := f.staged.Swap(c.ctx, older)
	if err != nil {
		return c.refused(err)
	}
	c.fetch = nil
	s.metrics.snapshots.Inc()
	s.log.Info("a snapshot took the store's place", "revision", at.Revision, "objects", m.GetObjects(), "took", time.Since(f.began).Round(time.Millisecond).String())
	if err := c.stored(at); err != nil {
		return err
	}
	return c.ask(sinceBoot())
}

// mostTold is how many objects are named of a world that brings many back.
const mostTold = 20

// returning tells what a snapshot would bring back to life, and refuses one in which a key is live that the replica
// knows to be revoked: nothing gives that back, so the hub's world has forgotten it. What else was given back the hub
// may have meant.
func (f *Follower) returning(list []storage.Withdrawn, older bool) error {
	var final []string
	for _, w := range list {
		if w.Final() {
			final = append(final, w.Name)
		}
		if older {
			f.log.Warn("an older world is accepted, and brings back to life", "kind", w.Kind, "name", w.Name, "what", w.What)
		}
	}
	if older || len(final) == 0 {
		return nil
	}
	more := ""
	if len(final) > mostTold {
		more = fmt.Sprintf(" and %d more", len(final)-mostTold)
		final = final[:mostTold]
	}
	return fmt.Errorf("%w: %s%s: revoke them there", ErrRevives, strings.Join(final, ", "), more)
}
