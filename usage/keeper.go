// Package usage records when and how often each key is used, without a check waiting for it.
//
// A Keeper is told of each check (Observe), and counts it in memory that never grows (table.go, recorder.go). Every few
// seconds what was counted is written to a file beside the store (keeper.go), package tally's, which sees that it is
// counted once. Where the process follows a hub, the batches of that file are sent to it (send.go); who others
// report to writes down what they send (Report).
//
// Nothing here may keep a check from its answer, nor the process from its start: without a disk, or with a damaged
// file, checks are answered, and what can't be kept is dropped and counted.
package usage

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage/tally"
)

const (
	// DefaultFlush is how often counts are written down, unless it is said.
	DefaultFlush = 10 * time.Second
	// MinFlush and MaxFlush bound what may be said.
	MinFlush, MaxFlush = time.Second, time.Hour

	// DefaultHourly is how long counts are kept by the hour, unless it is said; MinHourly and MaxHourly bound it.
	DefaultHourly        = 7 * 24 * time.Hour
	MinHourly, MaxHourly = 24 * time.Hour, 90 * 24 * time.Hour

	// maxHeld is how many counts are kept in memory while they can't be written down: 6 MB.
	maxHeld = 65_536
	// soonest is how soon a flush may follow another because the table fills.
	soonest = 100 * time.Millisecond
	// foldEvery is how often old counts are looked after.
	foldEvery = 5 * time.Minute
	// currentTime is how long Current waits for the disk.
	currentTime = time.Second
	// retryEvery is how often it is tried again to have a file.
	retryEvery = 10 * time.Second
)

// Options are what a Keeper is made of. Folder is required.
type Options struct {
	// Folder is the data folder.
	Folder string
	// Flush is how often counts are written down. Zero: DefaultFlush.
	Flush time.Duration
	// Hourly is how long they are kept by the hour. Zero: DefaultHourly.
	Hourly time.Duration
	// Send sends a batch to the hub that is followed, and returns nil once the hub has it for good. Nil: there is no
	// hub, and counts are kept here.
	Send func(context.Context, *replicav1.UsageBatch) error
	// Refused reports whether an error of Send says that the batch won't ever be taken. Required with Send.
	Refused func(error) bool
	// Knows reports whether a secret is, or was, one of a key: of others' reports nothing else is taken.
	Knows func(key.Digest) bool
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Log is where it tells what happens. Nil: slog.Default.
	Log *slog.Logger
}

// Keeper records usage. It is safe for concurrent use; Run may run once.
type Keeper struct {
	*recorder
	o       Options
	log     *slog.Logger
	metrics *metrics
	file    atomic.Pointer[tally.File] // nil until Run has opened it
	asked   chan chan<- struct{}       // who wants everything to be written down now

	// Why it can't be, now; nil: it can.
	unwritten, unsent atomic.Pointer[error]

	// Of Run's goroutine.
	held []tally.Count // that couldn't be written down
}

// New returns a keeper. It opens nothing: Run does.
func New(o Options) *Keeper {
	k := &Keeper{o: o, log: o.Log, asked: make(chan chan<- struct{})}
	if k.log == nil {
		k.log = slog.Default()
	}
	if k.o.Flush == 0 {
		k.o.Flush = DefaultFlush
	}
	if k.o.Hourly == 0 {
		k.o.Hourly = DefaultHourly
	}
	if k.o.Now == nil {
		k.o.Now = time.Now
	}
	k.metrics = newMetrics(k)
	k.recorder = newRecorder(func(n uint64) { k.metrics.drop(dropTable, n) })
	return k
}

// Run writes counts down until the context ends, and then once more. Stop it after what answers checks. It never
// returns an error: the process goes on without a file.
func (k *Keeper) Run(ctx context.Context) error {
	k.open()
	defer k.close()
	sent, wake := make(chan struct{}), make(chan struct{}, 1)
	if k.o.Send == nil {
		close(sent)
	} else {
		go func() { defer close(sent); k.send(ctx, wake) }()
	}
	defer func() { <-sent }()

	tick := time.NewTicker(k.o.Flush)
	defer tick.Stop()
	// Those of a fleet that was started at once don't report at once.
	first := time.NewTimer(rand.N(k.o.Flush))
	defer first.Stop()
	fold := time.NewTicker(foldEvery)
	defer fold.Stop()
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	k.fold(ctx)
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			k.flush(wake)
			close(wake)
			return nil
		case <-first.C:
			tick.Reset(k.o.Flush)
		case <-tick.C:
		case done := <-k.asked:
			k.flush(wake)
			close(done)
			continue
		case <-k.soon:
			// What comes in between is written with the next.
			if time.Since(last) < soonest {
				select {
				case <-ctx.Done():
				case <-time.After(soonest):
				}
			}
		case <-fold.C:
			k.fold(ctx)
			continue
		case <-retry.C:
			if k.file.Load() == nil {
				k.open()
			}
			continue
		}
		last = time.Now()
		k.flush(wake)
	}
}

// open opens the file. Where that can't be, it is tried again later.
func (k *Keeper) open() {
	f, err := tally.Open(tally.Options{Folder: k.o.Folder, Reasons: reasons(), Knows: k.o.Knows, Hourly: k.o.Hourly, Now: k.o.Now, Log: k.log})
	if err != nil {
		k.fails(err)
		return
	}
	k.file.Store(f)
}

func (k *Keeper) close() {
	if f := k.file.Load(); f != nil {
		if err := f.Close(); err != nil {
			k.log.Warn("the file of usage can't be closed", "error", err)
		}
	}
}

// flush writes down what was counted.
func (k *Keeper) flush(wake chan<- struct{}) {
	k.follow()
	counts := k.drain()
	if len(k.held) > 0 {
		counts = tally.Merge(append(k.held, counts...))
		k.held = nil
	}
	if len(counts) > 0 {
		if err := k.write(counts); err != nil {
			k.hold(counts)
			k.fails(err)
			return
		}
	}
	if k.file.Load() == nil {
		return // there was nothing to write, and nothing could have been
	}
	k.metrics.flushed(k.o.Now())
	if k.unwritten.Swap(nil) != nil {
		k.log.Info("usage is written down again")
	}
	select {
	case wake <- struct{}{}:
	default:
	}
}

// follow opens the file that is there, where the one that is open was removed: by somebody who wants it forgotten, or by
// mistake.
func (k *Keeper) follow() {
	f := k.file.Load()
	if f == nil || !f.Gone() {
		return
	}
	k.log.Warn("the file of usage was removed, or another stands in its place: usage is counted in what is there, or anew", "file", tally.Name)
	k.file.Store(nil)
	if err := f.Close(); err != nil {
		k.log.Warn("the file of usage can't be closed", "error", err)
	}
	k.open()
}

// write writes counts to the file: all or none.
func (k *Keeper) write(counts []tally.Count) error {
	f := k.file.Load()
	switch {
	case f == nil:
		return tally.ErrClosed
	case k.o.Send == nil:
		return f.Add(counts)
	}
	dropped, err := f.Queue(counts)
	k.metrics.drop(dropOutbox, dropped)
	return err
}

// hold keeps counts in memory that can't be written down.
func (k *Keeper) hold(counts []tally.Count) {
	if len(counts) > maxHeld {
		for _, c := range counts[maxHeld:] {
			k.metrics.drop(dropDisk, c.N)
		}
		counts = counts[:maxHeld]
	}
	k.held = counts
}

// fails tells once that usage can't be written down.
func (k *Keeper) fails(err error) {
	k.metrics.failed.Inc()
	if k.unwritten.Swap(&err) == nil {
		k.log.Error("usage can't be written down: it is kept in memory, as far as there is room, and tried again; checks are answered as ever", "error", err)
	}
}

// fold puts old counts together, a little at a time.
func (k *Keeper) fold(ctx context.Context) {
	for f := k.file.Load(); f != nil && ctx.Err() == nil; {
		more, err := f.Fold()
		if err != nil {
			k.fails(err)
		}
		if err != nil || !more {
			return
		}
	}
}

// Report takes a report of a replica, once, and returns when it is on the disk.
func (k *Keeper) Report(ctx context.Context, r tally.Report) error {
	f := k.file.Load()
	if f == nil {
		return tally.ErrClosed
	}
	receipt, err := f.Receive(ctx, r)
	k.metrics.report(receipt, err)
	return err
}

// Current returns the file to read usage from, with all checks of this process until now in it, unless the disk takes
// longer than a moment. It is tally.ErrClosed until Run has opened the file.
func (k *Keeper) Current() (*tally.File, error) {
	f := k.file.Load()
	if f == nil {
		return nil, tally.ErrClosed
	}
	moment := time.NewTimer(currentTime)
	defer moment.Stop()
	done := make(chan struct{})
	select {
	case k.asked <- done:
		select {
		case <-done:
		case <-moment.C:
		}
	case <-moment.C:
	}
	// Another may have taken its place meanwhile, where it was removed.
	if f = k.file.Load(); f == nil {
		return nil, tally.ErrClosed
	}
	return f, nil
}

// ended reports whether an error says no more than that nobody waits any more.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
