package main

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/policyfile"
	"github.com/latchkey/latchkey/storage"
)

// saying is what the newest content of a policy file says.
type saying struct {
	sum   [sha256.Size]byte
	name  string   // of its policy, as far as can be told
	hosts []string // that the policy claims
	bad   bool     // it can't be used, whatever other files say
}

// hear returns what a file says. What was loaded before isn't loaded again.
func (f *policyFiles) hear(file string, src []byte) saying {
	sum := sha256.Sum256(src)
	if last, ok := f.said[file]; ok && last.sum == sum {
		return last
	}
	loaded, err := policyfile.Load(file, src)
	if err != nil {
		return saying{sum: sum, name: nameOf(file, src), bad: true}
	}
	return saying{sum: sum, name: loaded.Policy.Name(), hosts: loaded.Policy.Hosts()}
}

// holders returns the files that stand for each policy, in their order. A bad
// file still stands for the policy that came from it.
func (f *policyFiles) holders() map[string][]string {
	holders := map[string][]string{}
	for _, file := range slices.Sorted(maps.Keys(f.said)) {
		said := f.said[file]
		names := map[string]bool{said.name: said.name != ""}
		for name, from := range f.inUse {
			if said.bad && from == file {
				names[name] = true
			}
		}
		for name, holds := range names {
			if holds {
				holders[name] = append(holders[name], file)
			}
		}
	}
	return holders
}

// clashes returns why files can't be used that say what another says too: the
// name of a policy, or a host. Between two, the one that is in use stays, and if
// none is, none comes into use: that one is newer says nothing. Bad files have
// their own mistakes to tell.
func (f *policyFiles) clashes() map[string]error {
	clashes := map[string]error{}
	for name, files := range f.holders() {
		for _, file := range files {
			if other := rival(file, files, f.inUse[name]); other != "" && !f.said[file].bad {
				clashes[file] = fmt.Errorf("the policy of %s is called %q too: give each its own name, or take one of the files away", other, name)
			}
		}
	}
	claims := map[string][]string{}
	for _, file := range slices.Sorted(maps.Keys(f.said)) {
		if clashes[file] != nil {
			continue
		}
		for _, host := range f.said[file].hosts {
			claims[host] = append(claims[host], file)
		}
	}
	owners := f.owners()
	for host, files := range claims {
		var owner string
		for _, file := range files {
			if f.said[file].name == owners[host] {
				owner = file
			}
		}
		for _, file := range files {
			if other := rival(file, files, owner); other != "" && clashes[file] == nil {
				clashes[file] = fmt.Errorf("the policy %q in %s claims the host %s too: a host belongs to one policy: take it out of the other",
					f.said[other].name, other, host)
			}
		}
	}
	return clashes
}

// rival returns the file among several that keeps one of them out: the one in
// use, else any other. It returns nothing for the one in use, and for a file
// that is alone.
func rival(file string, files []string, inUse string) string {
	if slices.Contains(files, inUse) {
		if file == inUse {
			return ""
		}
		return inUse
	}
	for _, other := range files {
		if other != file {
			return other
		}
	}
	return ""
}

// owners returns the policy in use that each host belongs to.
func (f *policyFiles) owners() map[string]string {
	owners := map[string]string{}
	f.db.View(func(v *storage.View) {
		c, ok := v.Policies().(*admin.Compiled)
		if !ok || c == nil || c.Policies == nil {
			return
		}
		for _, name := range c.Policies.Names() {
			for _, host := range c.Policies.Get(name).Hosts() {
				owners[host] = name
			}
		}
	})
	return owners
}

// findUnsaid notes the policies that came from a file that is there and says
// something else by now, and tells of each once. They go no more than those of
// files that are gone.
func (f *policyFiles) findUnsaid() {
	stored, _ := f.db.Documents()
	holders, before := f.holders(), f.unsaid
	f.unsaid = map[string]error{}
	for name, file := range f.inUse {
		switch gone, ok := f.files[file]; {
		case stored[name] == nil:
			delete(f.inUse, name)
		case len(holders[name]) > 0:
		case ok && gone.policy == name && gone.err != nil: // forget has said it
		default:
			f.unsaid[name] = fmt.Errorf("policy %s, which came from %s, is in use and no file says so any more: put it back, or `latchkey policy remove %s`",
				name, file, name)
			if before[name] == nil {
				f.log.Error("a policy is in use and no file says so any more", "policy", name, "file", file)
			}
		}
	}
}
