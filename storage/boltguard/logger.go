package boltguard

import (
	"errors"
	"os"
)

// guard is the Logger of bbolt, for the one thing that bbolt says right before
// it does it: when a commit fails it logs an error, and then scans all pages for
// the free ones, in a goroutine of its own, where no fault and no panic can be
// contained. So the file is read first, in the way that can't fault, and where
// that finds damage the scan is kept from happening by a panic, which contain
// makes an error of. Nothing is logged.
//
// storage.TestDamageMeetsAFullDisk sees that bbolt still asks in this order.
type guard struct {
	file *os.File // that bbolt has open; nil while it is being opened
}

// Errorf keeps bbolt from a file that is damaged.
func (g *guard) Errorf(string, ...any) {
	if g.file == nil {
		return
	}
	// A file that is closed isn't scanned.
	if err := Walk(g.file, lookAway); err != nil && !errors.Is(err, os.ErrClosed) {
		panic(err)
	}
}

// Error is never called without a format where it matters.
func (g *guard) Error(...any) {}

// The other severities say nothing that is waited for.

func (g *guard) Debug(...any)            {}
func (g *guard) Debugf(string, ...any)   {}
func (g *guard) Info(...any)             {}
func (g *guard) Infof(string, ...any)    {}
func (g *guard) Warning(...any)          {}
func (g *guard) Warningf(string, ...any) {}
func (g *guard) Fatal(...any)            {}
func (g *guard) Fatalf(string, ...any)   {}
func (g *guard) Panic(...any)            {}
func (g *guard) Panicf(string, ...any)   {}

// lookAway is for a walk that is made for its own sake.
func lookAway(string, []byte, []byte) error { return nil }
