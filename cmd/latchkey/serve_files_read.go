package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/policyfile"
)

// policyPath is the files that a path stands for.
type policyPath struct {
	path  string
	files []string
	err   error // why that can't be told
}

// policyReader finds and reads files at the same time, so that one that hangs holds up no other.
type policyReader struct {
	links, calls disk.Calls
}

// newPolicyReader returns one that waits for this long for a file.
func newPolicyReader(patience time.Duration) *policyReader {
	// A link that hangs in a folder is known before the folder is given up.
	return &policyReader{links: disk.Calls{Patience: patience / 4}, calls: disk.Calls{Patience: patience}}
}

// find returns the files of each path.
func (r *policyReader) find(ctx context.Context, paths []string) []policyPath {
	return atOnce(paths, func(path string) policyPath {
		files, err := disk.Call(ctx, &r.calls, path, func() ([]string, error) {
			return policyfile.FilesBy(func(name string) (fs.FileInfo, error) {
				return disk.Call(ctx, &r.links, name, func() (fs.FileInfo, error) { return os.Stat(name) })
			}, path)
		})
		return policyPath{path, files, err}
	})
}

// policyText is what a file holds.
type policyText struct {
	file string
	src  []byte
	err  error // why it can't be read
}

// read reads each file.
func (r *policyReader) read(ctx context.Context, files []string) []policyText {
	return atOnce(files, func(file string) policyText {
		src, err := r.calls.Read(ctx, file, strictyaml.MaxSize)
		if err != nil {
			err = fmt.Errorf("reading a policy: %w", err)
		}
		return policyText{file, src, err}
	})
}

// atOnce does something with each of a list at the same time, and returns what came of it in the order of the list.
func atOnce[A, B any](list []A, do func(A) B) []B {
	results := make([]B, len(list))
	var all sync.WaitGroup
	for i, one := range list {
		all.Go(func() { results[i] = do(one) })
	}
	all.Wait()
	return results
}
