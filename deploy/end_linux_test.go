package deploy_test

import (
	"encoding/json"
	"net/http"
	"testing"
)

// ends: a pod that is told to go drains, loses no request that is under way, and stops in the order of its halves.
func ends(t *testing.T, hub, pod *runningPod) {
	app := newApp(t, pod)
	var key struct{ Token string }
	made := latchkey(t, hub, "", "keys", "create", "--policy", "notes", "--type", "secret", "--tenant", "team:t_1", "--environment", "live", "--scope", "notes:read", "-o", "json")
	if err := json.Unmarshal([]byte(made), &key); err != nil {
		t.Fatal(err)
	}
	latchkey(t, hub, "", "replicas", "await", "--wait", "20s")
	underWay := make(chan int, 1)
	go func() { underWay <- pod.ask(t, "GET", "/v1/notes/held", key.Token).StatusCode }()
	<-app.arrived

	// The hooks run at once, when the pod is told to go. That of the application waits for as long as Envoy drains.
	c, _ := envoyOf(t)
	if out, said, err := pod.containers["envoy"].exec("", c.Lifecycle.PreStop.Exec.Command...); err != nil {
		t.Fatalf("the preStop hook: %v\n%s%s", err, out, said)
	}
	// Others may not have heard yet: who comes is answered, and told to come no more.
	got := pod.ask(t, "GET", "/v1/notes", key.Token)
	if got.StatusCode != http.StatusOK || !got.Close {
		t.Errorf("while Envoy drains a request is answered %d, and its connection goes on: %t", got.StatusCode, !got.Close)
	}
	close(app.held)
	if status := <-underWay; status != http.StatusOK {
		t.Errorf("the request that was under way is answered %d", status)
	}
	if err := app.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	pod.containers["envoy"].stop(t)
	sidecar := rulesOf(t, "example/api").find("Deployment", "notes").Spec.Template.Spec.InitContainers[0]
	if err := pod.probe(t.Context(), sidecar.Readiness); err != nil {
		t.Errorf("latchkey has ended before Envoy: %v", err)
	}
	pod.containers["latchkey"].stop(t)
	hub.containers["latchkey"].stop(t)
}
