package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/latchkey/latchkey/internal/disk"
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

// Watcher tells when files may have changed. Files that hang, as those of a
// network file system whose server is gone, hold it up for moments only. It is
// safe for concurrent use.
type Watcher struct {
	notify *fsnotify.Watcher
	log    *slog.Logger
	calls  disk.Calls

	mu      sync.Mutex
	paths   []string
	folders map[string]bool // to be watched; false where that failed
}

// NewWatcher watches the folders that hold the given files, and the given
// folders. A folder sees its files being replaced, links to them included, which
// a watch on a file doesn't. What can't be watched is polled.
func NewWatcher(ctx context.Context, log *slog.Logger, paths ...string) (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	// Who can't be watched in time is read every so often.
	w := &Watcher{notify: notify, log: log, calls: disk.Calls{Patience: disk.Patience / 4}, folders: map[string]bool{}}
	w.Watch(ctx, paths...)
	return w, nil
}

// Watch watches these in place of those before.
func (w *Watcher) Watch(ctx context.Context, paths ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paths = slices.Clone(paths)
	w.look(ctx)
}

// again watches what is in the place of the folders by now: one that was put in
// the place of another isn't watched yet.
func (w *Watcher) again(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(ctx)
}

// folderErrors is what became of the folders of a path: why each isn't watched, nil
// if it is.
type folderErrors map[string]error

func (w *Watcher) look(ctx context.Context) {
	found := make([]folderErrors, len(w.paths))
	var all sync.WaitGroup
	for i, path := range w.paths {
		all.Go(func() {
			var err error
			found[i], err = disk.Call(ctx, &w.calls, path, func() (folderErrors, error) {
				folders := folderErrors{}
				for _, folder := range foldersOf(path) {
					folders[folder] = w.notify.Add(folder)
				}
				return folders, nil
			})
			if err != nil {
				found[i] = folderErrors{path: err}
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return
	}
	before, hung := w.folders, false
	w.folders = map[string]bool{}
	for _, folders := range found {
		for folder, err := range folders {
			hung = hung || errors.Is(err, disk.ErrHung)
			if _, seen := w.folders[folder]; seen {
				continue
			}
			w.folders[folder] = err == nil
			// Of what hangs those tell who read it.
			if watched, known := before[folder]; err != nil && !errors.Is(err, disk.ErrHung) && (watched || !known) {
				w.log.Warn("this folder can't be watched and is read every so often instead", "folder", folder, "every", pollTime.String(), "error", err)
			}
		}
	}
	for folder, watched := range before {
		switch _, still := w.folders[folder]; {
		case still || !watched:
		case hung: // which folders a path has isn't known, and to let go of one may hang too
			w.folders[folder] = true
		default:
			_ = w.notify.Remove(folder) // it may be gone
		}
	}
}

// foldersOf returns the folders in which a change of a path shows. Of a folder
// behind a link that is the one that holds the link too.
func foldersOf(path string) []string {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() || errors.Is(err, fs.ErrNotExist) {
		return []string{filepath.Dir(path)}
	}
	if link, err := os.Lstat(path); err == nil && link.Mode().Type() == fs.ModeSymlink {
		return []string{path, filepath.Dir(path)}
	}
	return []string{path}
}

// Run calls changed once things have settled after each change, and every so
// often without one, until the context ends. It lets go of the folders then.
func (w *Watcher) Run(ctx context.Context, changed func(context.Context)) error {
	defer func() {
		_, _ = disk.Call(context.WithoutCancel(ctx), &w.calls, "", func() (any, error) { return nil, w.notify.Close() })
	}()
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
			w.again(ctx)
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
