package proc

import (
	"os"
	"testing"
	"time"
)

func TestParseSchedstat(t *testing.T) {
	if d, err := parseSchedstat("371872 5771 2\n"); err != nil || d != 371872 {
		t.Errorf("%v %v", d, err)
	}
	if d, err := parseSchedstat("\n"); err == nil {
		t.Errorf("nothing is %v", d)
	}
}

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 8 0 100 1000 200\n"
	for _, name := range []string{"(latchkey)", "(a) b)", "(a (b) 1 2)"} {
		if d, err := parseStat("42 " + name + rest); err != nil || d != 1750*time.Millisecond {
			t.Errorf("%s: %v %v", name, d, err)
		}
	}
	for _, text := range []string{"", "42 (x) S 1 2", "42 (x) S 1 2 3 4 5 6 7 8 9 10 a b 1 1"} {
		if d, err := parseStat(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
}

func TestParseStatus(t *testing.T) {
	if n, err := parseStatus("Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t     512 kB\n"); err != nil || n != 512<<10 {
		t.Errorf("%v %v", n, err)
	}
	if n, err := parseStatus("Name:\tx\n"); err == nil {
		t.Errorf("nothing is %v", n)
	}
}

func TestParseMachine(t *testing.T) {
	if d, err := parseMachine("cpu  10 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"); err != nil || d != 810*time.Millisecond {
		t.Errorf("%v %v", d, err)
	}
	for _, text := range []string{"", "cpu 1 2 3\n", "cpu 1 2 3 4 5 6 7 x\n"} {
		if d, err := parseMachine(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
}

func TestOwnProcess(t *testing.T) {
	before, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 30*time.Millisecond; {
		_ = begun.String()
	}
	after, err := CPUTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("CPU time was %v and is %v: %v", before, after, err)
	}
	if n, err := ResidentMemory(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("%v %v", n, err)
	}
}
