package deploy_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// stage is a stage of the Dockerfile.
var stage = regexp.MustCompile(`(?m)^FROM (?:--\S+ )?(\S+) AS (\S+)$`)

// The images that the manifests name are those that `make image` makes: each holds one program, and runs as the user that the
// manifests say.
func TestImages(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	dockerfile, makefile := read("../Dockerfile"), read("../Makefile")
	from, text := map[string]string{}, map[string]string{}
	at := stage.FindAllStringSubmatchIndex(dockerfile, -1)
	for i, m := range at {
		end := len(dockerfile)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		name := dockerfile[m[4]:m[5]]
		from[name], text[name] = dockerfile[m[2]:m[3]], dockerfile[m[1]:end]
	}
	if !strings.Contains(text["base"], fmt.Sprintf("USER %d:%d\n", user, user)) || from["base"] != "scratch" {
		t.Errorf("the base isn't empty, or runs as another user than %d: %s", user, text["base"])
	}
	var made []string
	for image, program := range map[string]string{"latchkey": "latchkey", "sidecar": "latchkey-sidecar"} {
		made = append(made, "localhost/"+program)
		if !strings.Contains(makefile, fmt.Sprintf("--target %s --build-arg VERSION=$(VERSION) -t localhost/%s:$(VERSION) .\n", image, program)) {
			t.Errorf("`make image` doesn't make localhost/%s of the stage %s", program, image)
		}
		copied := regexp.MustCompile(`(?m)^COPY .*/usr/local/bin/(\S+)$`).FindAllStringSubmatch(text[image], -1)
		if from[image] != "base" || len(copied) != 1 || copied[0][1] != program || !strings.Contains(text[image], `ENTRYPOINT ["/usr/local/bin/`+program+`"]`) {
			t.Errorf("the stage %s of the Dockerfile holds other things than %s: %s", image, program, text[image])
		}
	}
	if last := dockerfile[at[len(at)-1][4]:at[len(at)-1][5]]; last != "latchkey" {
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
