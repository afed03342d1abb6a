package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long nothing must happen to files before they are read:
	// editors and the kubelet change several in a row.
	settleTime = 100 * time.Millisecond
	// patience is how long files that never settle are waited for.
	patience = time.Second
	// pollTime is how often files are read whatever the notifications say:
	// network file systems send none.
	pollTime = 10 * time.Second
)

// Watcher tells when files may have changed.
type Watcher struct {
	notify *fsnotify.Watcher
	log    *slog.Logger
}

// NewWatcher watches the folders that hold the given files, and the given
// folders. A folder sees its files being replaced, links to them included, which
// a watch on a file doesn't. What can't be watched is polled.
func NewWatcher(log *slog.Logger, paths ...string) (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	w := &Watcher{notify, log}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() || errors.Is(err, fs.ErrNotExist) {
			path = filepath.Dir(path)
		}
		if err := notify.Add(path); err != nil {
			log.Warn("this folder can't be watched and is read every so often instead", "folder", path, "every", pollTime.String(), "error", err)
		}
	}
	return w, nil
}

// Run calls changed once things have settled after each change, and every so
// often without one, until the context ends. It lets go of the folders then.
func (w *Watcher) Run(ctx context.Context, changed func(context.Context)) error {
	defer func() { _ = w.notify.Close() }()
	timer := time.NewTimer(pollTime)
	defer timer.Stop()
	var since time.Time // when the first change was seen that isn't told yet
	settle := func() {
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < patience {
			timer.Reset(settleTime)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			since = time.Time{}
			changed(ctx)
			timer.Reset(pollTime)
		case event := <-w.notify.Events:
			if event.Op != fsnotify.Chmod {
				settle()
			}
		case err := <-w.notify.Errors:
			w.log.Warn("watching files", "error", err)
			settle() // more may have happened than was told
		}
	}
}
