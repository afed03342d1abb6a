package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/policyfile"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
	"github.com/latchkey/latchkey/storage"
)

// policyFiles puts the policies of files in use: each valid change of a file
// becomes a revision. A bad file changes nothing and is shouted about, in the
// log, in the status and in a metric, until it is good again.
type policyFiles struct {
	admin    *admin.Server
	db       *storage.DB
	log      *slog.Logger
	operator string // in the log of the store

	reloads     *prometheus.CounterVec
	lastSuccess prometheus.Gauge
	bad         prometheus.GaugeFunc

	// Reading and writing may wait for a disk: whoever asks for these doesn't.
	mu    sync.Mutex
	paths []string // files and folders
	shown []string // problems, for people
	begun bool     // since the start each file was in use once, or the policy that it is known to hold

	turn   sync.Mutex // of whoever reads the files; it guards what follows
	reader *policyReader
	below  map[string][]string   // the files that each path last stood for
	found  error                 // why some paths stand for no files; nil if all do
	files  map[string]policyFile // by name of the file
	said   map[string]saying     // by name of the file, for those that are there
	inUse  map[string]string     // the file that each policy last came from
	unsaid map[string]error      // by policy: it is in use and its file says something else
}

// policyFile is a file as it was last tried.
type policyFile struct {
	sum    [sha256.Size]byte
	policy string // what it is called, as far as can be told
	err    error  // nil: it is in use
}

func newPolicyFiles(paths []string, a *admin.Server, db *storage.DB, log *slog.Logger) *policyFiles {
	f := &policyFiles{
		paths: paths, admin: a, db: db, log: log, operator: fmt.Sprintf("process:uid:%d", os.Geteuid()),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_policy_reloads_total",
			Help: "Policy files that were read because they are new or have changed, by result: success or failure, which is also to find none.",
		}, []string{"result"}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "latchkey_policy_last_reload_success_timestamp_seconds",
			Help: "When the newest content of every policy file was last found to be in use; 0 for never.",
		}),
		reader: newPolicyReader(disk.Patience), below: map[string][]string{}, files: map[string]policyFile{}, inUse: map[string]string{},
	}
	f.bad = serve.Gauge("latchkey_policy_problems", "What keeps the newest content of policy files from being in use: 0 for nothing.", func() float64 { return float64(len(f.problems())) })
	for _, result := range []string{"success", "failure"} {
		f.reloads.WithLabelValues(result)
	}
	return f
}

func (f *policyFiles) collectors() []prometheus.Collector {
	return []prometheus.Collector{f.reloads, f.lastSuccess, f.bad}
}

// start puts all files in use. What is wrong with them is shouted about where the
// store has policies of before, which requests are decided by, as while the
// process runs. Where it has none there is nothing to go by: it is an error, and
// nothing is written before it is known that there is no such error in any of the
// files themselves.
func (f *policyFiles) start(ctx context.Context) error {
	paths := f.named()
	if len(paths) == 0 {
		return nil
	}
	if stored, _ := f.db.Documents(); len(stored) > 0 {
		f.reload(ctx)
		if len(f.missing()) > 0 {
			f.log.Error("the policy files can't be used: requests are decided by the policies that the store kept", "policies", slices.Sorted(maps.Keys(stored)),
				"revision", f.db.Position().Revision)
		}
		return nil
	}
	patient := newPolicyReader(disk.StartPatience)
	var all []policyText
	for _, found := range patient.find(ctx, paths) {
		if found.err != nil {
			return found.err
		}
		all = append(all, patient.read(ctx, found.files)...)
	}
	if err := mistakesOf(all); err != nil {
		return err
	}
	f.reload(ctx)
	f.turn.Lock()
	defer f.turn.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		if one := f.files[name]; one.err != nil {
			errs = append(errs, inFile(name, one.err))
		}
	}
	return errors.Join(errs...)
}

// mistakesOf returns what is wrong with the files, all of it.
func mistakesOf(texts []policyText) error {
	var all []*policyfile.Loaded
	var errs []error
	for _, text := range texts {
		if text.err != nil {
			return text.err
		}
		loaded, err := policyfile.Load(text.file, text.src)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, loaded)
	}
	if clashes := policyfile.Clashes(all); len(clashes) > 0 {
		errs = append(errs, clashes)
	}
	return errors.Join(errs...)
}

// reload reads the files again and puts in use what is new. It is what the
// watcher and SIGHUP call, and is safe for concurrent use. Once the context ends
// nothing is done any more.
func (f *policyFiles) reload(ctx context.Context) {
	f.turn.Lock()
	defer f.turn.Unlock()
	files, hung, err := f.find(ctx)
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil && (f.found == nil || f.found.Error() != err.Error()):
		f.reloads.WithLabelValues("failure").Inc()
		f.log.Error("the policy files can't be found: those in use stay in use", "error", err)
	case err == nil && f.found != nil:
		f.log.Info("the policy files are found again")
	}
	if f.found = err; err == nil || errors.Is(err, disk.ErrHung) {
		f.reread(ctx, files, hung)
	}
	if ctx.Err() != nil {
		return
	}
	problems := f.problemsNow()
	if len(problems) == 0 {
		f.lastSuccess.SetToCurrentTime()
	}
	holds := f.hold()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shown, f.begun = problems, f.begun || holds
}

// hold reports whether each file is in use, or the policy that it is known to hold.
func (f *policyFiles) hold() bool {
	if f.found != nil {
		return false
	}
	stored, _ := f.db.Documents()
	for _, one := range f.files {
		if one.err != nil && stored[one.policy] == nil {
			return false
		}
	}
	return true
}

// missing returns what is to be waited for before the policies of the files can
// be said to be in use.
func (f *policyFiles) missing() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun || len(f.paths) == 0 {
		return nil
	}
	return []string{"the policy files haven't been in use since the start: requests are decided by the policies that the store kept"}
}

// find returns the files that the paths stand for, and of those that hang, which
// is an error too, the files that they stood for.
func (f *policyFiles) find(ctx context.Context) (files, hung []string, err error) {
	var errs []error
	below := map[string][]string{}
	for _, found := range f.reader.find(ctx, f.named()) {
		switch {
		case found.err == nil:
			files = append(files, found.files...)
			below[found.path] = found.files
		case errors.Is(found.err, disk.ErrHung):
			errs = append(errs, found.err)
			hung = append(hung, f.below[found.path]...)
			below[found.path] = f.below[found.path]
		default: // that of one path is told alone
			return nil, nil, found.err
		}
	}
	f.below = below
	return files, hung, errors.Join(errs...)
}

// reread reads files, and puts in use what is new. Those that hang say what they said.
func (f *policyFiles) reread(ctx context.Context, files, hung []string) {
	said, contents := map[string]saying{}, map[string][]byte{}
	for _, file := range hung {
		if last, ok := f.said[file]; ok {
			said[file] = last
		}
	}
	texts := f.reader.read(ctx, files)
	if ctx.Err() != nil {
		return
	}
	for _, text := range texts {
		if text.err != nil {
			policy := f.files[text.file].policy
			said[text.file] = saying{name: policy, bad: true}
			f.failed(text.file, policyFile{policy: policy}, text.err)
			continue
		}
		said[text.file], contents[text.file] = f.hear(text.file, text.src), text.src
	}
	f.said = said
	for file, err := range f.clashes() {
		f.failed(file, f.tried(file), err)
		delete(contents, file)
	}
	// What failed is tried again: what it met may have gone.
	maps.DeleteFunc(contents, func(file string, _ []byte) bool {
		last, ok := f.files[file]
		return ok && last.err == nil && last.sum == said[file].sum
	})
	f.apply(ctx, contents)
	f.forget(slices.Concat(files, hung))
	f.findUnsaid()
}

// apply puts files in use. One may wait for another, which gives up a host that
// it claims: those that fail are tried again while others succeed.
func (f *policyFiles) apply(ctx context.Context, todo map[string][]byte) {
	for progress := true; progress; {
		progress = false
		failures := map[string]error{}
		for _, file := range slices.Sorted(maps.Keys(todo)) {
			changed, err := f.admin.ApplyFile(ctx, f.operator, file, todo[file], false)
			if err != nil {
				failures[file] = err
				continue
			}
			now := f.tried(file)
			last, known := f.files[file]
			f.files[file] = now
			f.inUse[now.policy] = file
			f.reloads.WithLabelValues("success").Inc()
			if changed || !known || last.err != nil {
				f.log.Info("a policy file is in use", "file", file, "policy", now.policy, "changed", changed, "revision", f.db.Position().Revision)
			}
			delete(todo, file)
			progress = true
		}
		if !progress || len(failures) == 0 {
			for file, err := range failures {
				f.failed(file, f.tried(file), err)
			}
			return
		}
	}
}

// tried is the newest content of a file, of which nothing bad is known yet.
func (f *policyFiles) tried(file string) policyFile {
	return policyFile{sum: f.said[file].sum, policy: f.said[file].name}
}

// failed notes that a file can't be used, and says so once.
func (f *policyFiles) failed(file string, now policyFile, err error) {
	now.err = err
	last := f.files[file]
	f.files[file] = now
	if last.err == nil || last.sum != now.sum || last.err.Error() != err.Error() {
		f.reloads.WithLabelValues("failure").Inc()
		f.log.Error("a policy file can't be used: what is in use stays in use", "file", file, "policy", now.policy, "error", err)
	}
}

// forget deals with files that are gone. A policy doesn't go with its file: a
// file that is missing for a moment would lock everybody out.
func (f *policyFiles) forget(files []string) {
	stored, _ := f.db.Documents()
	holders := f.holders()
	for file, one := range f.files {
		if slices.Contains(files, file) {
			continue
		}
		// It may have moved, or another may be the one that is in use.
		from := f.inUse[one.policy]
		if len(holders[one.policy]) > 0 || from != "" && from != file || stored[one.policy] == nil {
			delete(f.files, file)
			continue
		}
		why := "the file is named no more"
		if f.stands(file) {
			why = "the file is gone"
		}
		f.failed(file, policyFile{policy: one.policy},
			fmt.Errorf("%s, and its policy %s stays in use: put it back, or `latchkey policy remove %s`", why, one.policy, one.policy))
	}
}

// stands reports whether a file would be one of those that the paths stand for, if it were there.
func (f *policyFiles) stands(file string) bool {
	_, named := f.below[file]
	for path := range f.below {
		named = named || filepath.Clean(path) == filepath.Dir(file)
	}
	return named
}

// problems returns what is wrong with the files, for people.
func (f *policyFiles) problems() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.shown)
}

func (f *policyFiles) problemsNow() []string {
	var all []string
	if f.found != nil {
		all = append(all, f.found.Error())
	}
	for _, file := range slices.Sorted(maps.Keys(f.files)) {
		if err := f.files[file].err; err != nil {
			all = append(all, inFile(file, err).Error())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.unsaid)) {
		all = append(all, f.unsaid[name].Error())
	}
	return all
}

// inFile says which file an error is about. Mistakes within a file say so
// themselves.
func inFile(file string, err error) error {
	if regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(file) + `:\d+:`).MatchString(err.Error()) {
		return err
	}
	return fmt.Errorf("%s: %w", file, err)
}

var nameLine = regexp.MustCompile(`(?m)^name:[ \t]*["']?([A-Za-z0-9._~-]+)["']?[ \t]*(?:#.*)?$`)

// nameOf is what a policy file calls its policy, as far as it can be told of a
// file that may be bad; else nothing.
func nameOf(file string, src []byte) string {
	doc := &policyv1.Policy{}
	if _, _ = strictyaml.DecodeSome(file, src, doc); doc.GetName() != "" {
		return doc.GetName()
	}
	if found := nameLine.FindSubmatch(src); found != nil {
		return string(found[1])
	}
	return ""
}
