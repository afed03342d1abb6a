package main

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// metric ADDRESS LINE: /metrics at a host:port comes to hold this line.
func cmdMetric(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: metric ADDRESS LINE")
	}
	untilPage(ts, args[0]+"/metrics", args[1], func(code int, text string) bool {
		return code == http.StatusOK && strings.Contains("\n"+text, "\n"+args[1]+"\n")
	})
}

// page CODE URL REGEXP: what is at host:port/path comes to have this status and this in it.
func cmdPage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: page CODE URL REGEXP")
	}
	want := regexp.MustCompile("(?s)" + args[2])
	untilPage(ts, args[1], args[0]+" "+args[2], func(code int, text string) bool {
		return strconv.Itoa(code) == args[0] && want.MatchString(text)
	})
}

func untilPage(ts *testscript.TestScript, address, what string, holds func(code int, text string) bool) {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		code, text, err := pageAt(address)
		if err == nil && holds(code, text) {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("%s doesn't come to say %s: %v, %d\n%s", address, what, err, code, text)
		case <-tick.C:
		}
	}
}

func pageAt(address string) (code int, text string, err error) {
	answer, err := http.Get("http://" + address)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}
