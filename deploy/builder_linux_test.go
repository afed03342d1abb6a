package deploy_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// engine returns the programs that build and run images. Where LATCHKEY_BUILDAH asks for them, as `make` does, it is no reason to
// skip that one isn't there, or that this isn't root.
func engine(t *testing.T) (buildah, runc string) {
	t.Helper()
	asked := os.Getenv("LATCHKEY_BUILDAH")
	lacking := t.Skipf
	if asked != "" {
		lacking = t.Fatalf
	} else {
		asked = "buildah"
	}
	if os.Geteuid() != 0 {
		lacking("images are built and run by root: run this as root, or without them, LATCHKEY_BUILDAH=")
	}
	for name, path := range map[string]*string{asked: &buildah, "runc": &runc} {
		var err error
		if *path, err = exec.LookPath(name); err != nil {
			lacking("%v: install it (Debian: apt-get install buildah runc), or set LATCHKEY_BUILDAH= to go without", err)
		}
	}
	return buildah, runc
}

// builder builds images into a store of its own, without a daemon.
type builder struct {
	buildah string
	dir     string
}

func newBuilder(t *testing.T, buildah string) *builder {
	return &builder{buildah: buildah, dir: t.TempDir()}
}

// run runs one command of buildah and returns what it prints.
func (b *builder) run(t *testing.T, args ...string) string {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(b.buildah, append([]string{"--storage-driver", "vfs", "--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run")}, args...)...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("buildah %s: %v\n%s%s", strings.Join(args, " "), err, out, &said)
	}
	return strings.TrimSpace(string(out))
}

// everyImage reports whether the long tests of images are asked for.
func everyImage() bool { return os.Getenv("LATCHKEY_IMAGES") == "all" }

// said is what an image is told of its sources.
type said struct{ version, revision string }

// compile runs, by this machine's own Go, what the first stage of the Dockerfile runs once it has the sources, for a platform of
// Linux, and returns the folder that it makes.
func (b *builder) compile(t *testing.T, arch, sources string, s said) string {
	t.Helper()
	first := stages(t)[0]
	_, after, found := strings.Cut(first.text, "\nCOPY . .\n")
	env := regexp.MustCompile(`(?m)^ENV (CGO_ENABLED=0) .*(GOFLAGS=\S+)`).FindStringSubmatch(first.text)
	if !found || env == nil {
		t.Fatalf("the first stage of the Dockerfile isn't what this test knows: %s", first.text)
	}
	made := t.TempDir()
	for _, m := range regexp.MustCompile(`(?m)^RUN (?:--mount=\S+ )?((?:.*\\\n)*.*)$`).FindAllStringSubmatch(after, -1) {
		line := strings.ReplaceAll(m[1], "/out/", made+"/")
		if !everyImage() {
			// With it each dependency is compiled anew, which other tests have compiled without: a minute on a machine without a cache.
			line = strings.Replace(line, " -trimpath ", " ", 1)
		}
		cmd := exec.Command("sh", "-ec", line)
		cmd.Dir = sources
		cmd.Env = append(os.Environ(), env[1], env[2], "TARGETOS=linux", "TARGETARCH="+arch, "VERSION="+s.version, "REVISION="+s.revision)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", m[1], err, out)
		}
	}
	return made
}

// image builds one stage of the Dockerfile of what compile has made, and returns its name.
func (b *builder) image(t *testing.T, target, arch, made string, s said) string {
	t.Helper()
	out := t.TempDir() // the stage's root, in which it is /out
	if err := os.Rename(made, filepath.Join(out, "out")); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Rename(filepath.Join(out, "out"), made); err != nil {
			t.Fatal(err)
		}
	}()
	name := "localhost/" + programs[target] + ":" + arch
	b.run(t, "bud", "--isolation", "chroot", "--platform", "linux/"+arch, "--timestamp", "0", "--identity-label=false",
		"--build-context", stages(t)[0].name+"="+out, "--build-arg", "VERSION="+s.version, "--build-arg", "REVISION="+s.revision,
		"--target", target, "-t", name, "-f", "../Dockerfile", t.TempDir())
	return name
}

// image is what is looked at of an image.
type image struct {
	ID  string `json:"FromImageID"`
	OCI struct {
		OS           string
		Architecture string
		Config       struct {
			User, WorkingDir      string
			Entrypoint, Cmd, Env  []string
			ExposedPorts, Volumes map[string]any
			Labels                map[string]string
		}
	} `json:"OCIv1"`
	// Of the layers, as JSON in a string.
	Manifest string
}

func (b *builder) inspect(t *testing.T, name string) (i image) {
	t.Helper()
	if err := json.Unmarshal([]byte(b.run(t, "inspect", "--type", "image", name)), &i); err != nil {
		t.Fatal(err)
	}
	return i
}

// layers returns the sizes of the layers, unpacked.
func (i image) layers(t *testing.T) (sizes []int64) {
	t.Helper()
	var m struct{ Layers []struct{ Size int64 } }
	if err := json.Unmarshal([]byte(i.Manifest), &m); err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Layers {
		sizes = append(sizes, l.Size)
	}
	return sizes
}

// root makes a container of an image and returns the folder that is its root.
func (b *builder) root(t *testing.T, name string) string {
	t.Helper()
	return b.run(t, "mount", b.run(t, "from", "--pull-never", name))
}

// static reports whether a program needs no loader, and what it is for.
func static(t *testing.T, path string) (bool, elf.Machine) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), f.Machine
}

// here is what this machine is, in the words of images.
const here = runtime.GOARCH
