package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	inPod    = regexp.MustCompile(`^kubectl .*\bexec .*? -- (.*)$`)
	applying = regexp.MustCompile(`^kubectl apply -k (deploy/\S+)$`)
	awaiting = regexp.MustCompile(`^kubectl .*\brollout status `)
)

// inCluster returns what stands for a command that is typed to a cluster. There is none here, and the tests of deploy/ run the
// pods; so what is run in one of them is run beside processes of the same names on this machine.
func inCluster(t *testing.T, c command) command {
	t.Helper()
	if inside := inPod.FindStringSubmatch(c.text); inside != nil {
		c.text = inside[1]
		return c
	}
	if awaiting.MatchString(c.text) {
		c.text = ":" // a process that is started here is ready
		return c
	}
	applied := applying.FindStringSubmatch(c.text)
	if applied == nil {
		return c
	}
	folder, err := filepath.Abs(filepath.Join(docsRoot, applied[1]))
	if err == nil {
		_, err = os.Stat(filepath.Join(folder, "kustomization.yaml"))
	}
	if err != nil {
		t.Fatalf("%s: %v", c.text, err)
	}
	c.text = map[string]string{
		"deploy/example/hub": "latchkey serve --policy " + filepath.Join(folder, "notes.yaml") + " --hub-listen unix:hub.sock &",
		"deploy/example/api": "latchkey-sidecar --hub unix:hub.sock --data pod-1 --name notes-1 &",
	}[applied[1]]
	if c.text == "" {
		t.Fatalf("%s: no process stands for it", applied[1])
	}
	c.background = true
	return c
}
