package policyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Files returns the policy files that the paths stand for: a file is itself,
// a folder is its *.yaml files, sorted by name, without folders and without
// names that begin with a dot. A folder without any is an error, and so is a
// path that is not there.
func Files(paths ...string) ([]string, error) { return FilesBy(os.Stat, paths...) }

// FilesBy is [Files] with another way to look at what a path, or a link in a
// folder, leads to: one that doesn't wait for a file system that is gone.
func FilesBy(stat func(name string) (fs.FileInfo, error), paths ...string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := stat(path)
		if err != nil {
			return nil, fmt.Errorf("finding policies: %w", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		found, err := inFolder(stat, path)
		if err != nil {
			return nil, fmt.Errorf("finding policies in %s: %w", path, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("the folder %s holds no *.yaml: put policies into it or name a file", path)
		}
		files = append(files, found...)
	}
	return files, nil
}

// inFolder leaves out what editors and the kubelet hide behind a dot. A link is
// what it leads to; one that leads nowhere is kept, so that reading it tells.
func inFolder(stat func(string) (fs.FileInfo, error), folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") || !strings.HasSuffix(entry.Name(), ".yaml") {
			continue
		}
		file := filepath.Join(folder, entry.Name())
		isFolder := entry.IsDir()
		if entry.Type() == fs.ModeSymlink {
			info, err := stat(file)
			isFolder = err == nil && info.IsDir()
		}
		if isFolder {
			continue
		}
		files = append(files, file)
	}
	return files, nil
}

// LoadFiles loads the policies of all the paths (see [Files]) and checks that
// they can be in use together. The error is of type [strictyaml.Mistakes] when
// it is about what files hold: all of all files.
func LoadFiles(paths ...string) ([]*Loaded, error) {
	files, err := Files(paths...)
	if err != nil {
		return nil, err
	}
	var all []*Loaded
	var mistakes strictyaml.Mistakes
	for _, file := range files {
		src, err := strictyaml.ReadStream(file)
		if err != nil {
			return nil, fmt.Errorf("reading a policy: %w", err)
		}
		loaded, err := Load(file, src)
		var found strictyaml.Mistakes
		switch {
		case errors.As(err, &found):
			mistakes = append(mistakes, found...)
		case err != nil:
			return nil, err
		default:
			all = append(all, loaded)
		}
	}
	if mistakes = append(mistakes, Clashes(all)...); len(mistakes) > 0 {
		mistakes.Sort()
		return nil, mistakes
	}
	return all, nil
}

// Clashes returns what keeps policies from being in use together: one name or
// one host that two of them claim. Each is told at its place in the later one.
func Clashes(all []*Loaded) strictyaml.Mistakes {
	var mistakes strictyaml.Mistakes
	names, hosts := map[string]*Loaded{}, map[string]*Loaded{}
	for _, l := range all {
		if other := names[l.Doc.GetName()]; other != nil {
			mistakes = append(mistakes, l.Source.Mistake([]string{"name"},
				fmt.Sprintf("the policy of %s is called %q too", other.Source.File(), l.Doc.GetName()), "give each its own name"))
		} else {
			names[l.Doc.GetName()] = l
		}
		for _, h := range hostsOf(l.Doc) {
			if other := hosts[h.host]; other != nil && other != l {
				mistakes = append(mistakes, l.Source.Mistake(h.path,
					fmt.Sprintf("the policy %q in %s claims the host %s too", other.Doc.GetName(), other.Source.File(), h.host), "a host belongs to one policy: take it out of the other"))
			} else {
				hosts[h.host] = l
			}
		}
	}
	if len(mistakes) > 0 {
		return mistakes
	}
	compiled := make([]*policy.Policy, len(all))
	for i, l := range all {
		compiled[i] = l.Policy
	}
	if _, err := policy.NewPolicies(compiled...); err != nil { // whatever else it may come to check
		mistakes = append(mistakes, all[len(all)-1].Source.Mistake(nil, err.Error(), "correct one of the policies"))
	}
	return mistakes
}

type claimedHost struct {
	host string
	path []string
}

func hostsOf(doc *policyv1.Policy) []claimedHost {
	var hosts []claimedHost
	for i, h := range doc.GetHosts() {
		hosts = append(hosts, claimedHost{h, []string{"hosts", fmt.Sprint(i)}})
	}
	for _, e := range doc.GetEnvironments() {
		for i, h := range e.GetHosts() {
			hosts = append(hosts, claimedHost{h, []string{"environments", e.GetName(), "hosts", fmt.Sprint(i)}})
		}
	}
	return hosts
}
