package deploy_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// makeVolumes makes a folder for each volume, with the rights that the kubelet gives it.
func (p *runningPod) makeVolumes(t *testing.T, r *rules, o *object, secrets map[string]string) {
	t.Helper()
	group := *o.Spec.Template.Spec.SecurityContext.Group
	folder := func(name string, mode os.FileMode) string {
		at := filepath.Join(p.dir, p.name+"-v-"+name)
		if err := errors.Join(os.Mkdir(at, 0o700), os.Chown(at, 0, group), os.Chmod(at, mode)); err != nil {
			t.Fatal(err)
		}
		p.volumes[name] = at
		return at
	}
	for _, v := range o.Spec.VolumeClaimTemplates {
		folder(v.Metadata.Name, os.ModeSetgid|0o775)
	}
	for _, v := range o.Spec.Template.Spec.Volumes {
		files := map[string]string{}
		mode := os.FileMode(0o644)
		switch {
		case v.EmptyDir != nil:
			folder(v.Name, os.ModeSetgid|0o777)
			continue
		case v.ConfigMap.Name != "":
			files = r.find("ConfigMap", v.ConfigMap.Name).Data
		default:
			mode = os.FileMode(v.Secret.Mode)
			for _, name := range given[v.Secret.Name] {
				files[name] = readFile(t, filepath.Join(secrets[v.Secret.Name], name))
			}
		}
		at := folder(v.Name, os.ModeSetgid|0o775)
		for name, text := range files {
			file := filepath.Join(at, name)
			if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chown(file, 0, group), os.Chmod(file, mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// programsOfThisMachine makes room in an empty root for the folders of programs and libraries that this machine has, and returns
// them. It stands in for the image of Envoy, which can't be had here: the program is the same.
func programsOfThisMachine(t *testing.T, root string) (folders []string) {
	t.Helper()
	for _, folder := range []string{"/bin", "/lib", "/lib64", "/usr/bin", "/usr/lib", "/usr/lib64"} {
		info, err := os.Lstat(folder)
		switch {
		case err != nil:
		case info.IsDir():
			folders = append(folders, folder)
		default:
			to, err := os.Readlink(folder)
			if err == nil {
				err = os.Symlink(to, filepath.Join(root, folder))
			}
			if err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
	}
	return folders
}
