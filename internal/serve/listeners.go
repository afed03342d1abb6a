package serve

import (
	"errors"
	"io/fs"
	"log/slog"
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
		return nil, ls.Close(err)
	}
	ls.list = append(ls.list, NamedListener{name, l})
	ls.Log.Info("listening", "for", name, "address", l.Address().String())
	return l, nil
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
