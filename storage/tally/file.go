package tally

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage/boltfile"
	"github.com/latchkey/latchkey/storage/boltguard"
)

const (
	// Name is that of the file in the data folder.
	Name      = "latchkey.db.usage"
	newSuffix = ".new"

	format = 1
	// addressSpace is that of a file of two million rows.
	addressSpace = 256 << 20
	lockTime     = time.Second
	// otherCode is that of reasons that this version doesn't know.
	otherCode = 0
	maxCodes  = replacedFlag - 1
)

// Other is the reason under which those are counted that this version doesn't know.
const Other = "OTHER"

var (
	bucketMeta    = []byte("meta")
	bucketSecrets = []byte("secrets")
	bucketUses    = []byte("uses")
	bucketHours   = []byte("hours")
	bucketDays    = []byte("days")
	bucketOutbox  = []byte("outbox")
	bucketSenders = []byte("senders")

	metaFormat   = []byte("format")
	metaSource   = []byte("source")
	metaBegan    = []byte("began")
	reasonPrefix = "reason:"
)

var buckets = [][]byte{bucketMeta, bucketSecrets, bucketUses, bucketHours, bucketDays, bucketOutbox, bucketSenders}

var (
	// ErrClosed is returned by a file that isn't open: not yet, not any more, or because another couldn't be begun
	// in place of a damaged one.
	ErrClosed = errors.New("the file of usage isn't open")
	// ErrDamaged is returned once where the file turned out to be damaged: it was put aside.
	ErrDamaged = errors.New("the file of usage was damaged, and is begun anew")
)

// Options are what a File is opened with. Folder and Reasons are required.
type Options struct {
	// Folder is the data folder. Its owner has it for himself.
	Folder string
	// Reasons are the stable names of those that are counted apart; others are Other.
	Reasons []string
	// Knows reports whether a secret is, or was, one of a key. What others report of unknown ones isn't taken. Nil:
	// all are taken.
	Knows func(key.Digest) bool
	// Hourly is how long counts are kept by the hour. Zero: a week.
	Hourly time.Duration
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Log is where damage is told. Nil: slog.Default.
	Log *slog.Logger

	noSync bool // for tests, which no machine survives
}

// File is the file of counts. It is safe for concurrent use.
type File struct {
	path string
	o    Options

	turn sync.Mutex // of the one transaction that runs; taken before mu

	mu     sync.RWMutex // held exclusively where another file takes the place of bolt
	bolt   *bbolt.DB    // nil while there is none
	info   os.FileInfo  // of the file that is open
	closed bool
	source string
	began  time.Time
	codes  map[string]byte
	names  map[byte]string

	outbox      sync.Mutex   // held by who changes the outbox, until what follows says so
	pending     atomic.Int64 // batches in the outbox
	pendingRows atomic.Int64
	merged      atomic.Int64 // batches that the newest merge left

	senders atomic.Int64

	queue queue
}

// Open opens the file of a folder, and begins one where there is none. The whole file is read: that takes about as long
// as the disk does. One that is damaged, or of another format, is put aside and told of.
func Open(o Options) (*File, error) {
	if o.Hourly == 0 {
		o.Hourly = 7 * day
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	f := &File{path: filepath.Join(o.Folder, Name), o: o}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f, f.open()
}

// open opens what is there. The mutex must be held exclusively.
func (f *File) open() error {
	why := f.survey()
	if why == nil {
		why = f.begin() // what it says of itself may be of another format
	}
	switch {
	case why == nil:
		return nil
	case errors.Is(why, os.ErrNotExist):
		if err := f.create(); err != nil {
			return err
		}
	case damage(why):
		if err := f.putAside(why); err != nil {
			return err
		}
	default:
		return fmt.Errorf("reading the file of usage: %w", why)
	}
	return f.begin()
}

// damage reports whether an error is about what is in the file.
func damage(err error) bool {
	var page *boltfile.Damage
	var panicked *boltguard.Panic
	return errors.As(err, &page) || errors.As(err, &panicked) || errors.Is(err, boltguard.ErrChecksum) || errors.Is(err, errRow) || errors.Is(err, errFormat)
}

var errFormat = errors.New("it is of another format")

// survey reads the whole file without believing it, and counts what the outbox and the senders have.
func (f *File) survey() error {
	file, err := boltguard.OpenPrivate(f.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing was written
	var pending, rows, senders int64
	seen := map[string]bool{}
	err = boltguard.Walk(file, func(bucket string, name, sealed []byte) error {
		if name == nil { // a bucket begins
			seen[bucket] = true
			return nil
		}
		value, err := boltguard.Unseal([]byte(bucket), name, sealed)
		if err != nil {
			return fmt.Errorf("%s: %w", bucket, err)
		}
		switch bucket {
		case "uses", "hours", "days":
			if _, err := decodeRow(nil, value, bucket == "uses"); err != nil {
				return err
			}
		case "outbox":
			m, err := decodeBatch(value)
			if err != nil {
				return err
			}
			pending++
			rows += int64(len(m.GetCounts()))
		case "senders":
			senders++
		}
		return nil
	})
	for _, bucket := range buckets {
		if err == nil && !seen[string(bucket)] {
			err = errFormat
		}
	}
	if err != nil {
		return err
	}
	f.pending.Store(pending)
	f.pendingRows.Store(rows)
	f.senders.Store(senders)
	return nil
}

// putAside gives a damaged file another name, and begins a new one.
func (f *File) putAside(why error) error {
	aside := f.path + disk.DamagedSuffix // an older one goes
	f.o.Log.Error("the file of usage is damaged: it is put aside, and counts begin anew", "file", f.path, "aside", aside, "error", why)
	if err := os.Rename(f.path, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("putting the damaged file of usage aside: %w", err)
	}
	return f.create()
}

// create writes a new file, and puts it in its place: whole or not at all.
func (f *File) create() error {
	temp := f.path + newSuffix
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	bolt, err := boltguard.Open(temp, lockTime, 0)
	if err != nil {
		return fmt.Errorf("beginning the file of usage: %w", err)
	}
	bolt.NoSync = f.o.noSync
	err = boltguard.Update(bolt, func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		source := make([]byte, 16)
		_, _ = rand.Read(source) // never fails
		return errors.Join(
			put(tx, bucketMeta, metaFormat, []byte{format}),
			put(tx, bucketMeta, metaSource, source),
			put(tx, bucketMeta, metaBegan, binary.BigEndian.AppendUint64(nil, uint64(f.o.Now().Unix()))),
		)
	})
	if err := errors.Join(err, bolt.Close()); err != nil {
		return errors.Join(fmt.Errorf("beginning the file of usage: %w", err), os.Remove(temp))
	}
	f.pending.Store(0)
	f.pendingRows.Store(0)
	f.senders.Store(0)
	f.merged.Store(0)
	if err := disk.Install(temp, f.path); err != nil {
		return fmt.Errorf("beginning the file of usage: %w", err)
	}
	return nil
}

// begin opens a file that is whole. The mutex must be held exclusively.
func (f *File) begin() error {
	bolt, err := boltguard.Open(f.path, lockTime, addressSpace)
	if err != nil {
		return fmt.Errorf("opening the file of usage: %w", err)
	}
	bolt.NoSync = f.o.noSync
	if err = boltguard.View(bolt, f.readMeta); errors.Is(err, bolterrors.ErrTxNotWritable) { // a reason is new to it
		err = boltguard.Update(bolt, f.readMeta)
	}
	if err != nil {
		return errors.Join(err, bolt.Close())
	}
	if f.info, err = os.Stat(f.path); err != nil {
		return errors.Join(err, bolt.Close())
	}
	f.bolt = bolt
	return nil
}

// Gone reports whether the file was removed, or another stands in its place: what is written goes nowhere then.
func (f *File) Gone() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	at, err := os.Stat(f.path)
	return f.bolt != nil && (errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(at, f.info))
}

// readMeta reads what the file says of itself, and gives reasons that are new to it their codes.
func (f *File) readMeta(tx *bbolt.Tx) error {
	is, err := get(tx, bucketMeta, metaFormat)
	if err != nil || len(is) != 1 || is[0] != format {
		return errors.Join(errFormat, err)
	}
	source, err := get(tx, bucketMeta, metaSource)
	if err != nil {
		return err
	}
	began, err := get(tx, bucketMeta, metaBegan)
	if err != nil || len(began) != 8 {
		return errors.Join(errFormat, err)
	}
	f.source, f.began = hex.EncodeToString(source), time.Unix(int64(binary.BigEndian.Uint64(began)), 0).UTC()
	f.codes, f.names = map[string]byte{}, map[byte]string{otherCode: Other}
	used := byte(otherCode)
	c := tx.Bucket(bucketMeta).Cursor()
	for name, _ := c.Seek([]byte(reasonPrefix)); strings.HasPrefix(string(name), reasonPrefix); name, _ = c.Next() {
		code, err := get(tx, bucketMeta, name)
		if err != nil || len(code) != 1 {
			return errors.Join(errFormat, err)
		}
		reason := strings.TrimPrefix(string(name), reasonPrefix)
		f.codes[reason], f.names[code[0]] = code[0], reason
		used = max(used, code[0])
	}
	for _, reason := range f.o.Reasons {
		if _, ok := f.codes[reason]; ok || used >= maxCodes {
			continue
		}
		used++
		f.codes[reason], f.names[used] = used, reason
		if err := put(tx, bucketMeta, []byte(reasonPrefix+reason), []byte{used}); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the file. What is called afterwards returns ErrClosed.
func (f *File) Close() error {
	f.turn.Lock()
	defer f.turn.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.bolt == nil {
		return nil
	}
	bolt := f.bolt
	f.bolt = nil
	return boltguard.Contain(bolt.Close)
}

// Began says since when the file counts.
func (f *File) Began() time.Time {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.began
}

// Size returns how many bytes the file has; 0 where that can't be said.
func (f *File) Size() int64 {
	info, err := os.Stat(f.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Pending returns how many batches wait to be acknowledged.
func (f *File) Pending() int { return int(f.pending.Load()) }
