// The rules here are about the manifests in this folder: each object is held against the schemas of Kubernetes, and all of them
// against each other and against what the processes read.
package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// files are the files of this folder, by name, so that a mistake can be made in a copy of one.
type files map[string]string

func readFiles(t *testing.T) files {
	t.Helper()
	all := files{}
	here := os.DirFS(".")
	err := fs.WalkDir(here, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		text, err := fs.ReadFile(here, name)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// kustomization is as much of kustomize's own file as is used here. Anything else in it is an error.
type kustomization struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Namespace  string
	Resources  []string
	Components []string
	Images     []struct {
		Name string
		Tag  string `yaml:"newTag"`
	}
	Generators []struct {
		Name    string
		Files   []string
		Options struct {
			DisableNameSuffixHash bool `yaml:"disableNameSuffixHash"`
		}
	} `yaml:"configMapGenerator"`
	Patches []struct {
		Path   string
		Target struct {
			Kind          string
			LabelSelector string `yaml:"labelSelector"`
		}
	}
}

// tree is a YAML object.
type tree = map[string]any

// render returns what kustomize makes of a folder, but for the hashes in the names of ConfigMaps. used notes the files that went
// into it.
func (f files) render(folder string, used map[string]bool) ([]tree, error) {
	return f.onto(nil, folder, used)
}

// onto adds a folder to what there is already, which a component changes.
func (f files) onto(all []tree, folder string, used map[string]bool) ([]tree, error) {
	var k kustomization
	name := path.Join(folder, "kustomization.yaml")
	text, ok := f[name]
	if !ok {
		return nil, fmt.Errorf("%s isn't there", name)
	}
	used[name] = true
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&k); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, r := range k.Resources {
		r = path.Join(folder, r)
		if path.Ext(r) != ".yaml" {
			more, err := f.render(r, used)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
			continue
		}
		more, err := f.objects(r)
		if err != nil {
			return nil, err
		}
		used[r] = true
		all = append(all, more...)
	}
	for _, c := range k.Components {
		var err error
		if all, err = f.onto(all, path.Join(folder, c), used); err != nil {
			return nil, err
		}
	}
	for _, g := range k.Generators {
		data := tree{}
		for _, file := range g.Files {
			text, ok := f[path.Join(folder, file)]
			if !ok {
				return nil, fmt.Errorf("%s: the ConfigMap %s has the file %s, which isn't there", name, g.Name, file)
			}
			used[path.Join(folder, file)] = true
			data[path.Base(file)] = text
		}
		all = append(all, tree{"apiVersion": "v1", "kind": "ConfigMap", "metadata": tree{"name": g.Name}, "data": data})
	}
	for _, p := range k.Patches {
		patches, err := f.objects(path.Join(folder, p.Path))
		if err != nil {
			return nil, err
		}
		used[path.Join(folder, p.Path)] = true
		hit := false
		for _, o := range all {
			if o["kind"] == p.Target.Kind && selects(p.Target.LabelSelector, o) {
				hit = true
				merge(o["spec"].(tree), patches[0]["spec"].(tree))
			}
		}
		if !hit {
			return nil, fmt.Errorf("%s: the patch %s is for no object", name, p.Path)
		}
	}
	for _, o := range all {
		if meta := o["metadata"].(tree); k.Namespace != "" && o["kind"] != "Namespace" {
			meta["namespace"] = k.Namespace
		}
	}
	return all, nil
}

// objects reads the documents of a file. A field that stands there twice is an error.
func (f files) objects(name string) (all []tree, err error) {
	text, ok := f[name]
	if !ok {
		return nil, fmt.Errorf("%s isn't there", name)
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var one tree
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, one)
	}
}

// selects reports whether an object has the label of a selector NAME=VALUE.
func selects(selector string, o tree) bool {
	name, value, _ := strings.Cut(selector, "=")
	labels, _ := o["metadata"].(tree)["labels"].(tree)
	return labels[name] == value
}

// merge puts a patch over an object, as kustomize does: members of a list are the same where their names are, and those that the
// patch names come first, in its order.
func merge(into, patch tree) {
	for name, value := range patch {
		switch value := value.(type) {
		case tree:
			if below, ok := into[name].(tree); ok {
				merge(below, value)
				continue
			}
		case []any:
			if list, ok := into[name].([]any); ok {
				into[name] = mergeLists(list, value)
				continue
			}
		}
		into[name] = value
	}
}

func mergeLists(list, patch []any) []any {
	var merged []any
	for _, p := range patch {
		i := slices.IndexFunc(list, func(o any) bool { return o.(tree)["name"] == p.(tree)["name"] })
		if i >= 0 {
			merge(list[i].(tree), p.(tree))
			p = list[i]
			list = slices.Delete(slices.Clone(list), i, i+1)
		}
		merged = append(merged, p)
	}
	return append(merged, list...)
}

// text returns objects as one YAML file.
func text(all []tree) (string, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	for _, o := range all {
		if err := encoder.Encode(o); err != nil {
			return "", err
		}
	}
	return b.String(), encoder.Close()
}
