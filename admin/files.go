package admin

import (
	"context"
	"sync"

	"github.com/latchkey/latchkey/policyfile"
)

// files remembers which policy came from which file, and whether the file's
// newest content is in use. It is about this process and isn't stored.
type files struct {
	mu     sync.Mutex
	byName map[string]fileState // by policy
}

type fileState struct{ file, err string }

// ApplyFile puts the policy of a file in use, for the process that owns policy
// files. It reports whether anything changed. A file with a mistake changes
// nothing: the policy that came from it before stays in use, and the error is
// shown beside it until the file is right again.
func (s *Server) ApplyFile(ctx context.Context, operator, file string, src []byte, strand bool) (changed bool, err error) {
	loaded, err := policyfile.Load(file, src)
	if err != nil {
		err = s.scrubbed(&fault{ErrInvalid, err.Error()})
		s.files.failed(file, err)
		return false, err
	}
	out, err := s.use(ctx, Caller{Operator: operator}, loaded, applied{file: file, strand: strand})
	if err != nil {
		err = s.scrubbed(err)
		s.files.failed(file, err)
		return false, err
	}
	return out.changed, nil
}

func (f *files) used(file, policy string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byName == nil {
		f.byName = map[string]fileState{}
	}
	for name, state := range f.byName {
		if state.file == file {
			delete(f.byName, name) // the file held another policy before
		}
	}
	f.byName[policy] = fileState{file: file}
}

func (f *files) failed(file string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, state := range f.byName {
		if state.file == file {
			f.byName[name] = fileState{file, err.Error()}
		}
	}
}

func (f *files) forget(policy string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byName, policy)
}

func (f *files) of(policy string) (file, err string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byName[policy].file, f.byName[policy].err
}
