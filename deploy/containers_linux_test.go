package deploy_test

import (
	"debug/elf"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// What the images are told here.
var told = said{version: "v1.2.3-test", revision: "0123456789abcdef0123456789abcdef01234567"}

// The images of the Dockerfile, and the manifests run with them. With LATCHKEY_IMAGES=all they are built for arm64 too, and
// twice, to see that it comes to the same.
func TestContainers(t *testing.T) {
	buildah, runc := engine(t)
	b := newBuilder(t, buildah)
	made := b.compile(t, here, "..", told)
	names := map[string]string{} // of images, by how the manifests call them
	for _, target := range slices.Sorted(maps.Keys(programs)) {
		names["localhost/"+programs[target]] = b.image(t, target, here, made, told)
		t.Run(target, func(t *testing.T) { b.holds(t, target, here) })
	}
	t.Run("pods", func(t *testing.T) { podsOf(t, b, runc, names) })
	if !everyImage() {
		return
	}
	t.Run("arm64", func(t *testing.T) {
		made := b.compile(t, "arm64", "..", told)
		for target := range programs {
			b.image(t, target, "arm64", made, told)
			b.holds(t, target, "arm64")
		}
	})
	t.Run("again", func(t *testing.T) {
		elsewhere := t.TempDir()
		copySources(t, elsewhere)
		made := b.compile(t, here, elsewhere, told)
		for target := range programs {
			before := b.inspect(t, "localhost/"+programs[target]+":"+here).ID
			if after := b.inspect(t, b.image(t, target, here, made, told)).ID; after != before {
				t.Errorf("%s is another image when it is made in another folder: %s, %s", target, before, after)
			}
		}
	})
}

// copySources copies the tree to another folder, but for what is hidden.
func copySources(t *testing.T, to string) {
	t.Helper()
	tree := os.DirFS("..")
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name != "." && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case !e.Type().IsRegular():
			return nil
		}
		b, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// holds: an image is what it says, and has one program in it, and what that needs, and nothing else.
func (b *builder) holds(t *testing.T, target, arch string) {
	t.Helper()
	program := programs[target]
	i := b.inspect(t, "localhost/"+program+":"+arch)
	c := i.OCI.Config
	if i.OCI.OS != "linux" || i.OCI.Architecture != arch || c.User != "65532:65532" || c.WorkingDir != "/var/lib/latchkey" ||
		!slices.Equal(c.Entrypoint, []string{"/usr/local/bin/" + program}) || len(c.Cmd) > 0 || len(c.Volumes) > 0 {
		t.Errorf("its configuration is %+v", i.OCI)
	}
	for label, want := range map[string]string{"version": told.version, "revision": told.revision, "source": "https://github.com/latchkey/latchkey", "title": "", "description": ""} {
		if got := c.Labels["org.opencontainers.image."+label]; got == "" || want != "" && got != want {
			t.Errorf("its label %s is %q, want %q", label, got, want)
		}
	}
	if len(c.Labels) != 5 {
		t.Errorf("it has labels of others: %v", c.Labels)
	}
	root := b.root(t, "localhost/"+program+":"+arch)
	var files []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		owner, mode := info.Sys().(*syscall.Stat_t), info.Mode()
		own := name == "var/lib/latchkey"
		if wantUser := uint32(map[bool]int{true: user}[own]); owner.Uid != wantUser || owner.Gid != wantUser || own && mode.Perm() != 0o700 {
			t.Errorf("/%s is of %d:%d, %s", name, owner.Uid, owner.Gid, mode)
		}
		if mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 || !mode.IsDir() && mode.Perm()&0o022 != 0 {
			t.Errorf("/%s is %s", name, mode)
		}
		if !mode.IsDir() {
			files = append(files, "/"+name)
		}
		return nil
	})
	if want := []string{"/etc/group", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/usr/local/bin/" + program}; err != nil || !slices.Equal(files, want) {
		t.Errorf("its files are %q, want %q: %v", files, want, err)
	}
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]
	if alone, m := static(t, filepath.Join(root, "usr/local/bin", program)); !alone || m != machine {
		t.Errorf("its program needs a loader, or is for %s", m)
	}
	var sum int64
	for _, size := range i.layers(t) {
		sum += size
	}
	t.Logf("linux/%s: %.1f MB in layers of %d bytes", arch, float64(sum)/1e6, i.layers(t))
}
