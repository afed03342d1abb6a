package deploy_test

import (
	"net/http"
	"testing"
)

// ends: a pod that is told to go drains, loses no request that is under way, and stops in the order of its halves.
func ends(t *testing.T, hub, pod *runningPod) {
	app := newApp(t, pod)
	key := newKey(t, hub)
	type answer struct {
		*http.Response
		err error
	}
	underWay := make(chan answer, 1)
	go func() {
		got, err := pod.ask(t.Context(), "GET", "/v1/notes/held", key.Token)
		underWay <- answer{got, err}
	}()
	select {
	case <-app.arrived:
	case got := <-underWay:
		t.Fatalf("a request doesn't come to the application: %v, %v", got.Response, got.err)
	}

	// The hooks run at once, when the pod is told to go. That of the application waits for as long as Envoy drains.
	c, _ := envoyOf(t)
	if out, said, err := pod.containers["envoy"].exec("", c.Lifecycle.PreStop.Exec.Command...); err != nil {
		t.Fatalf("the preStop hook: %v\n%s%s", err, out, said)
	}
	// Others may not have heard yet: who comes is answered, and told to come no more.
	if got := pod.answered(t, http.StatusOK, "GET", "/v1/notes", key.Token); !got.Close {
		t.Error("while Envoy drains its connections go on")
	}
	close(app.held)
	if got := <-underWay; got.err != nil || got.StatusCode != http.StatusOK {
		t.Errorf("the request that was under way is answered %v, %v", got.Response, got.err)
	}
	if err := app.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	pod.containers["envoy"].stop(t)
	sidecar := rulesOf(t, "example/api").find("Deployment", "notes").Spec.Template.Spec.InitContainers[0]
	pod.until(t, &sidecar, "readiness", sidecar.Readiness) // fails where latchkey has ended before Envoy
	pod.containers["latchkey"].stop(t)
	hub.containers["latchkey"].stop(t)
}
