package reload

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Hangup is SIGHUP, by which people ask for files to be read again. While there is one, the signal doesn't end the process.
type Hangup struct {
	signals chan os.Signal
}

// NewHangup takes SIGHUP. A process has to call it first of all: nobody who asks for files to be read again means to end
// it, whatever it is at.
func NewHangup() *Hangup {
	h := &Hangup{signals: make(chan os.Signal, 1)}
	signal.Notify(h.signals, syscall.SIGHUP)
	return h
}

// Stop lets the signal end the process again.
func (h *Hangup) Stop() { signal.Stop(h.signals) }

// Again is what is read again.
type Again struct {
	What  string // "the configuration file"
	There func() bool
	Read  func(context.Context)
}

// Again is what Hangup is to read of a process's configuration file; nil is of a process without one.
func (f *File) Again() Again {
	return Again{"the configuration file", func() bool { return f != nil }, f.Reload}
}

// Follow returns a part of a serve.Group that reads all these again, one after the other, at each SIGHUP. The log is told.
func (h *Hangup) Follow(log *slog.Logger, all ...Again) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-h.signals:
			}
			for _, one := range all {
				if !one.There() {
					log.Info("SIGHUP: there is nothing to read again of " + one.What)
					continue
				}
				log.Info("SIGHUP: reading " + one.What + " again")
				one.Read(ctx)
			}
		}
	}
}
