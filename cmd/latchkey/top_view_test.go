package main

import (
	"strings"
	"testing"
	"time"
)

// TestTopTellsTrouble, the worst first, and of each process on a line of its own.
func TestTopTellsTrouble(t *testing.T) {
	problem := "nobody answers"
	rate, second := 1234.56, 1.0
	v := &topView{Time: time.Unix(0, 0).UTC(), Interval: 2, Processes: []topFigures{
		{Address: "a", Ready: true, Checks: &rate, Denied: &rate, P50: ptr(8.6e-6), P99: ptr(1.234e-3), Hub: &topHub{1, 1, 0}},
		{Address: "b", Replica: &topReplica{Stale: true, Age: ptr(700.0), Lease: ptr(0.0)}, Refused: 2},
		{Address: "c", Ready: true, Replica: &topReplica{Connected: true}, Failures: 1, Degraded: true, Dropped: ptr(uint64(3))},
		{Address: "d\x1b[2J", Problem: &problem},
	}}
	for _, p := range []int{0, 1} {
		v.Processes[p].Decisions = []topDecision{{Reason: "ALLOWED", Decision: "allow", Policy: "kodey", KeyType: "secret", Total: 5, Rate: &second}, {Reason: "REPLICA_STALE", Decision: "deny", Total: 1}}
	}
	marked := func(s style, line string) string { return "<" + string(s) + ">" + line }
	got := strings.Join(v.lines(0, marked), "\n")
	want := strings.TrimPrefix(`
<1>latchkey top   4 processes   1970-01-01T00:00:00Z   over 2s

<1>PROCESS  READY  REVISION  KEYS  CHECKS/S  DENIED/S  P50    P99     AGE    LEASE   REPLICAS
<33>a        yes    0         0     1234.6    1234.6    8.6µs  1.23ms  -      -       1 current, 1 lagging, 0 away
<31>b        no     0         0     -         -         -      -       11m40s  0s
<31>c        yes    0         0     -         -         -      -       never  no end
<31>d�[2J   ?
<33>a: replicas are behind
<31>b: stale: answers 503, no hub feeds it, 2 refused by limits
<31>c: 1 internal errors, takes no writes, 3 decisions not in the log
<31>d�[2J: nobody answers

<1>PER SECOND  TOTAL  DECISION  REASON         POLICY  KEY TYPE
<>2.0         10     allow     ALLOWED        kodey   secret
<31>-           2      deny      REPLICA_STALE`, "\n")
	if squeezed(got) != squeezed(want) {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
	// Columns stand below each other.
	lines := v.lines(0, plainText)
	for _, column := range []string{"READY", "P99", "AGE"} {
		at := strings.Index(lines[2], column)
		for _, line := range lines[3:6] {
			if r := []rune(line); r[at-1] != ' ' || r[at] == ' ' {
				t.Errorf("%q: %s isn't at %d", line, column, at)
			}
		}
	}
	if cut := v.lines(14, plainText); len(cut) != 14 || !strings.Contains(strings.Join(cut, "\n"), "… and 2 more") {
		t.Errorf("on fourteen lines it says\n%s", strings.Join(cut, "\n"))
	}
}

func squeezed(text string) string {
	for strings.Contains(text, "  ") {
		text = strings.ReplaceAll(text, "  ", " ")
	}
	return text
}
