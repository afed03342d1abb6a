package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"syscall"
)

// Listeners are those of a process: all of them are open before anything is served, or none.
type Listeners struct {
	// Log is told of each; required.
	Log *slog.Logger

	list []NamedListener
}

// NamedListener is a listener, with what it serves.
type NamedListener struct {
	Name string
	*Listener
}

// Open opens one more. Where it can't, the others are closed too.
func (ls *Listeners) Open(name string, at Address, mode fs.FileMode) (*Listener, error) {
	l, err := at.Listen(mode)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("%w: end the process that has it, or name another address", err)
		}
		return nil, ls.Close(fmt.Errorf("%s: %w", flagOf(name), err))
	}
	ls.list = append(ls.list, NamedListener{name, l})
	ls.Log.Info("listening", "for", name, "address", l.Address().String())
	return l, nil
}

// flagOf is the flag by which people name the address of a listener.
func flagOf(name string) string {
	switch name {
	case "check":
		return "--listen"
	case "hub":
		return "--hub-listen"
	}
	return "--" + name
}

// All returns those that are open, in the order in which they were opened.
func (ls *Listeners) All() []NamedListener { return ls.list }

// Close closes all of them because of an error, and returns it with what else went wrong.
func (ls *Listeners) Close(why error) error {
	for _, l := range ls.list {
		why = errors.Join(why, l.Close())
	}
	return why
}
