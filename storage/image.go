package storage

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/boltfile"
)

// image is what a file holds, read and verified as a whole.
type image struct {
	path    string // where the file can be read again; empty where it can't
	view    *View  // all but the compiled policies
	shapes  *shapes
	objects *objects // where they were asked for
	floor   uint64
	logSize int64
	newest  *logv1.Entry // nil at revision 0
	before  Position     // the position before the newest transaction, where that is known
	told    bool         // whether meta tells it, also of a store without a log
	replica bool         // whether it is a replica's
	origin  string       // empty where it isn't known
	stats   boltfile.Stats
}

// reading is how a file is read.
type reading struct {
	objects bool // keep all objects, decoded
	deep    bool // compare the log with the objects too
}

// maxProblems bounds how many problems of one file are told.
const maxProblems = 20

// imageReader gathers an image from a walk through a file.
type imageReader struct {
	image
	how      reading
	gatherer *gatherer
	problems

	seen     map[string]bool
	position Position    // that meta tells
	several  [2]Position // that a transaction which the log doesn't tell of led to, and the one before
	entries  uint64      // of the log
	next     uint64      // revision of the next one
	latest   time.Time
	tail     [2][]byte                     // the newest log entries
	tokens   map[string]key.Token          // kept ones
	logged   map[object]*[sha256.Size]byte // by the newest entry of each; nil: removed
}

// problems is what is wrong with a file. It is safe for concurrent use.
type problems struct {
	mu     sync.Mutex
	list   []error
	more   int // that aren't told
	reason string
}

func (p *problems) wrong(reason, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason == "" {
		p.reason = reason
	}
	if len(p.list) == maxProblems {
		p.more++
		return
	}
	p.list = append(p.list, fmt.Errorf(format, args...))
}

func (p *problems) damage() error {
	if p.more > 0 {
		p.list = append(p.list, fmt.Errorf("and %d more", p.more))
	}
	return &DamageError{Reason: p.reason, Problems: p.list}
}

// readImage reads a file of this format, page by page and by no other means
// than reading, so that no damage can do worse than an error. What is wrong
// with the file is a *DamageError, with all that could be told apart.
func readImage(file io.ReaderAt, size int64, how reading) (*image, error) {
	f, err := openImage(file, size)
	if err != nil {
		return nil, err
	}
	r := &imageReader{how: how, seen: map[string]bool{}, tokens: map[string]key.Token{}}
	if how.deep {
		r.logged = map[object]*[sha256.Size]byte{}
	}
	r.gatherer = newGatherer(how, &r.problems)
	r.stats, err = f.Walk(r.visit)
	r.gatherer.wait()
	if err != nil {
		return nil, damaged(err)
	}
	r.finish()
	if len(r.list) > 0 {
		return nil, r.damage()
	}
	return &r.image, nil
}

// openImage sees that a file is a store of this format.
func openImage(file io.ReaderAt, size int64) (*boltfile.File, error) {
	f, err := boltfile.New(file, size)
	if err != nil {
		return nil, damaged(err)
	}
	format, err := formatOf(f)
	if err != nil {
		return nil, err
	}
	if format != formatVersion {
		return nil, &formatError{format}
	}
	return f, nil
}

// formatOf returns the format of a store.
func formatOf(f *boltfile.File) (format uint64, err error) {
	others, found := "", false
	_, err = f.Walk(func(bucket string, name, value []byte) error {
		switch {
		case bucket != string(bucketMeta):
			others = bucket
			return boltfile.ErrSkip
		case string(name) == string(metaFormat):
			format, found = parseNumber(value)
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, damaged(err)
	case !found && others == "":
		return 0, &DamageError{Reason: "empty", Problems: []error{errors.New("there is nothing in it")}}
	case !found:
		return 0, fmt.Errorf("%w: it is the file of another program, or damaged: put it aside, and restore a backup (latchkey db restore)", ErrFormat)
	}
	return format, nil
}

// formatError is a file of another format than the newest.
type formatError struct{ format uint64 }

func (e *formatError) Error() string {
	return fmt.Sprintf("its format is %d and this is for %d: run the version that wrote it, or, where there is none, restore a backup (latchkey db restore)", e.format, formatVersion)
}

func (e *formatError) Is(target error) bool { return target == ErrFormat }

// visit is called for each value, and once with nil for each bucket.
func (r *imageReader) visit(bucket string, name, sealed []byte) error {
	if name == nil {
		r.seen[bucket] = true
		if r.known(bucket) {
			return nil
		}
		r.wrong("bucket", "there is a bucket %.64q, which no store has", bucket)
		return boltfile.ErrSkip
	}
	if bucket == string(bucketMeta) && string(name) == string(metaFormat) {
		return nil
	}
	if kind, ok := kindIn(bucket); ok {
		r.gatherer.add(kind, name, sealed)
		return nil
	}
	value, err := unseal([]byte(bucket), name, sealed)
	if err != nil {
		r.wrong("checksum", "%s %s: %w", bucket, shownName(bucket, name), err)
		return nil
	}
	switch bucket {
	case string(bucketMeta):
		r.meta(string(name), value)
	case string(bucketLog):
		r.log(name, value)
	case string(bucketReveal):
		r.tokens[string(name)] = key.NewToken(string(value))
	}
	return nil
}

// shownName is a name as errors tell it.
func shownName(bucket string, name []byte) string {
	if n, ok := parseNumber(name); ok && bucket == string(bucketLog) {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%.64q", name)
}

func (r *imageReader) known(bucket string) bool {
	for _, b := range buckets {
		if string(b) == bucket {
			return true
		}
	}
	return false
}

func (r *imageReader) meta(name string, value []byte) {
	ok := true
	switch name {
	case string(metaPosition):
		r.position, ok = decodePosition(value)
	case string(metaFloor):
		r.floor, ok = parseNumber(value)
	case string(metaBefore):
		at, before := value[:len(value)/2], value[len(value)/2:]
		if r.several[0], ok = decodePosition(at); ok {
			r.several[1], ok = decodePosition(before)
		}
	case string(metaOrigin):
		r.origin = string(value)
	case string(metaRole):
		r.replica = bytes.Equal(value, roleReplica)
		ok = r.replica
	}
	if !ok {
		r.wrong("meta", "meta: its %s isn't one", name)
	}
}

func (r *imageReader) log(name, value []byte) {
	revision, ok := parseNumber(name)
	if !ok || r.next > 0 && revision != r.next {
		r.wrong("log", "log: entry %s follows where %d should be", shownName(string(bucketLog), name), r.next)
	}
	r.next = revision + 1
	r.entries++
	r.logSize += int64(len(value))
	r.tail[0], r.tail[1] = r.tail[1], append(r.tail[0][:0], value...)
	if r.logged == nil {
		return
	}
	e, err := decodeEntry(revision, value)
	if err != nil {
		r.wrong("log", "%w", err)
		return
	}
	if at := e.GetAt().AsTime(); at.Before(r.latest) {
		r.wrong("log", "log: entry %d is older than the one before it", revision)
	} else {
		r.latest = at
	}
	for _, p := range e.GetPuts() {
		if o := (object{p.GetKind(), p.GetName()}); p.GetRemoved() {
			r.logged[o] = nil
		} else {
			sum := sha256.Sum256(p.GetValue())
			r.logged[o] = &sum
		}
	}
}

func decodeEntry(revision uint64, value []byte) (*logv1.Entry, error) {
	e := &logv1.Entry{}
	if err := proto.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("log entry %d: %w", revision, err)
	}
	if e.GetRevision() != revision {
		return nil, fmt.Errorf("log entry %d: it says that it is %d", revision, e.GetRevision())
	}
	return e, nil
}

// finish compares what was gathered.
func (r *imageReader) finish() {
	for _, name := range buckets {
		if !r.seen[string(name)] {
			r.wrong("bucket", "its bucket %q is missing", name)
		}
	}
	// A replica that has nothing yet has no epoch.
	if r.position.Epoch == 0 && !(r.replica && r.position == Position{}) {
		r.wrong("meta", "meta: its position is missing")
	}
	r.finishLog()
	if r.told = r.several[0] == r.position && r.position.Epoch > 0; r.told {
		r.before = r.several[1]
	}
	v := r.gatherer.view()
	if len(r.list) > 0 {
		return // what follows can only repeat it
	}
	v.position = r.position
	if r.newest != nil {
		v.latest = r.newest.GetAt().AsTime()
	}
	r.view, r.shapes, r.objects = v, r.gatherer.shapes, r.gatherer.whole
	if r.gatherer.digest != r.position.Digest {
		r.wrong("digest", "the digest of its objects is %.4x and should be %.4x: objects are missing, or older than the rest", r.gatherer.digest[:], r.position.Digest[:])
	}
	for id, token := range r.tokens {
		if !v.mayReveal(id, token) {
			r.wrong("reveal", "reveal: the token of %.64q isn't the current one of an unrevoked key", id)
		}
	}
	for _, odd := range []revised{r.gatherer.oldest, r.gatherer.newest} {
		if odd.id != "" && (odd.revision == 0 || odd.revision > r.position.Revision) {
			r.wrong("record", "key %.64q has the revision %d", odd.id, odd.revision)
		}
	}
	for o, sum := range r.logged {
		if is := r.gatherer.sums[o]; (is == nil) != (sum == nil) || is != nil && *is != *sum {
			r.wrong("log", "%s: the log has other bytes for it", o)
		}
	}
}

// finishLog reads the newest entries.
func (r *imageReader) finishLog() {
	if r.next == 0 {
		if r.position.Revision > 0 {
			r.wrong("log", "log: it is empty at revision %d", r.position.Revision)
		}
		return
	}
	first := r.next - r.entries
	if r.floor != first || r.next != r.position.Revision+1 {
		r.wrong("log", "log: it has the entries %d to %d, and should have %d to %d", first, r.next-1, r.floor, r.position.Revision)
		return
	}
	var err error
	if r.newest, err = decodeEntry(r.next-1, r.tail[1]); err != nil {
		r.wrong("log", "%w", err)
		return
	}
	if at := position(r.newest.GetEpoch(), r.newest.GetRevision(), r.newest.GetDigest()); at != r.position {
		r.wrong("log", "log: its newest entry is at %s, and the store at %s", at, r.position)
	}
	if r.next-1 == 1 {
		r.before = Position{Epoch: r.position.Epoch}
	} else if len(r.tail[0]) > 0 {
		e, err := decodeEntry(r.next-2, r.tail[0])
		if err != nil {
			r.wrong("log", "%w", err)
			return
		}
		r.before = position(e.GetEpoch(), e.GetRevision(), e.GetDigest())
	}
}
