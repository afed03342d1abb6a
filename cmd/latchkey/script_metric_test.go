package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// metric ADDRESS LINE: /metrics at a host:port comes to hold this line.
func cmdMetric(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: metric ADDRESS LINE")
	}
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		metrics, err := metricsAt(args[0])
		if err == nil && strings.Contains("\n"+metrics, "\n"+args[1]+"\n") {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("the metrics don't come to say %s: %v\n%s", args[1], err, metrics)
		case <-tick.C:
		}
	}
}

func metricsAt(address string) (string, error) {
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %s", answer.Status)
	}
	return string(text), err
}
