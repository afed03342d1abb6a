package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// userTick is the unit of the times in /proc/PID/stat: USER_HZ, which is 100 on every
// platform that Go runs on.
const userTick = time.Second / 100

// CPUTime returns how long a process has run on any core, user and system: to the
// nanosecond from its threads, or to a tick where the kernel doesn't say more. A thread
// that ends takes its time with it, so only differences over a time in which none does
// are exact; servers in Go and Envoy end none.
func CPUTime(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue // it ended since it was listed
		case err != nil:
			return 0, err
		}
		one, err := parseSchedstat(string(text))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += one
	}
	if sum > 0 {
		return sum, nil
	}
	file := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	if sum, err = parseStat(string(text)); err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return sum, nil
}

// parseSchedstat returns the first figure of a thread's schedstat.
func parseSchedstat(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q begins with no number", text)
	}
	return time.Duration(n), nil
}

// parseStat returns utime and stime of a process's stat. They are the 14th and 15th
// field; the second, its name, is in parentheses and may hold spaces and parentheses.
func parseStat(text string) (time.Duration, error) {
	_, rest, _ := cutLast(text, ") ")
	fields := strings.Fields(rest)
	const state, utime, stime = 3, 14, 15
	if len(fields) <= stime-state {
		return 0, fmt.Errorf("%.40q has too few fields", text)
	}
	var ticks int64
	for _, field := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[field-state], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("field %d is no number: %w", field, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * userTick, nil
}

func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return text, "", false
}

// ResidentMemory returns how many bytes of its own a process has in memory: pages of
// files, such as a mapped store, are the kernel's to take back.
func ResidentMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseStatus(string(text))
}

func parseStatus(text string) (int64, error) {
	for line := range strings.Lines(text) {
		value, ok := strings.CutPrefix(line, "RssAnon:")
		if !ok {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("RssAnon: %w", err)
		}
		return kilobytes << 10, nil
	}
	return 0, errors.New("the status of the process has no RssAnon")
}
