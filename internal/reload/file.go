package reload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

// Use puts the content of a configuration file in use, as far as that goes while the process runs, and returns the names
// of the fields that take a restart. An error leaves all as it was.
type Use func(ctx context.Context, source []byte) (restart []string, err error)

// errEmpty is what a file is that somebody is about to write, or that was lost: as a configuration it would be the
// defaults, which let nobody in.
var errEmpty = errors.New("the file is empty: write what is to be in use, or restart without it")

// File is the configuration file of a running process. It is safe for concurrent use.
type File struct {
	path string
	use  Use
	log  *slog.Logger

	reloads     *prometheus.CounterVec
	lastSuccess prometheus.Gauge
	pending     prometheus.GaugeFunc

	turn  sync.Mutex        // of whoever reads the file
	calls disk.Calls        // to read it
	tried [sha256.Size]byte // the newest content

	// Putting it in use may wait for the disk: whoever asks for these doesn't.
	mu      sync.Mutex
	problem error    // why the newest content can't be used; nil: it is in use
	restart []string // fields of the one in use that take a restart
}

// NewFile returns the file that a process was started with, and what it said then. It is read again by Reload, and by
// Run.
func NewFile(path string, source []byte, log *slog.Logger, use Use) *File {
	f := &File{
		path: path, use: use, log: log, tried: sha256.Sum256(source),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_config_reloads_total",
			Help: "Times that the configuration file had changed and was read, by result: success or failure.",
		}, []string{"result"}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "latchkey_config_last_reload_success_timestamp_seconds",
			Help: "When the newest content of the configuration file was last found to be in use.",
		}),
	}
	f.pending = serve.Gauge("latchkey_config_restart_required", "1 while the configuration file says what takes a restart, else 0.", serve.Truth(func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.restart) > 0
	}))
	for _, result := range []string{"success", "failure"} {
		f.reloads.WithLabelValues(result)
	}
	f.lastSuccess.SetToCurrentTime()
	return f
}

// Collectors returns the metrics of the file.
func (f *File) Collectors() []prometheus.Collector {
	return []prometheus.Collector{f.reloads, f.lastSuccess, f.pending}
}

// Run reads the file when it has changed, until the context ends.
func (f *File) Run(ctx context.Context) error {
	watcher, err := serve.NewWatcher(ctx, f.log, f.path)
	if err != nil {
		return err
	}
	f.Reload(ctx) // it may have changed since the start
	return watcher.Run(ctx, f.Reload)
}

// Reload reads the file, and puts in use what is new. What can't be used is told in the log once, and leaves in use what
// is; so is a file that nothing answers for. Once the context ends nothing is done any more.
func (f *File) Reload(ctx context.Context) {
	f.turn.Lock()
	defer f.turn.Unlock()
	source, err := f.calls.Read(ctx, f.path, strictyaml.MaxSize)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		f.failed(fmt.Errorf("reading the configuration: %w", err), [sha256.Size]byte{})
		return
	}
	sum := sha256.Sum256(source)
	if sum == f.tried {
		if f.told(nil) {
			f.lastSuccess.SetToCurrentTime()
		}
		return
	}
	restart, err := []string(nil), errEmpty
	if len(source) > 0 {
		restart, err = f.use(ctx, source)
	}
	if err != nil {
		f.failed(err, sum)
		return
	}
	f.tried = sum
	f.mu.Lock()
	f.problem, f.restart = nil, restart
	f.mu.Unlock()
	f.reloads.WithLabelValues("success").Inc()
	f.lastSuccess.SetToCurrentTime()
	f.log.Info("the configuration file is in use", "file", f.path)
	for _, field := range restart {
		f.log.Warn("a change of the configuration file is not in use: restart to use it", "file", f.path, "field", field)
	}
}

// failed notes that what is there can't be used, and says so once.
func (f *File) failed(err error, sum [sha256.Size]byte) {
	known := f.tried == sum && f.told(err)
	f.tried = sum
	f.mu.Lock()
	f.problem = err
	f.mu.Unlock()
	if !known {
		f.reloads.WithLabelValues("failure").Inc()
		f.log.Error("the configuration file can't be used: what is in use stays in use", "file", f.path, "error", err)
	}
}

// told reports whether a problem, or nil for none, is the one that people are shown.
func (f *File) told(problem error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if problem == nil || f.problem == nil {
		return problem == f.problem
	}
	return problem.Error() == f.problem.Error()
}

// Problems returns what is wrong with the file, and what of it takes a restart, for people.
func (f *File) Problems() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	if f.problem != nil {
		all = append(all, fmt.Sprintf("the configuration file %s can't be used, and what was in use stays so: %v", f.path, f.problem))
	}
	for _, field := range f.restart {
		all = append(all, fmt.Sprintf("the configuration file %s has another %s: restart to use the new %s", f.path, field, field))
	}
	return all
}
