package decisionlog

import (
	"os"
	"os/signal"
	"syscall"
)

// standardOutput is the output of the process.
type standardOutput struct{}

// openStdout returns standard output. Go ends a process that writes to a standard
// output that nobody reads any more, by SIGPIPE; a decision log mustn't. The
// write fails instead, and its lines count as dropped.
func openStdout() output {
	signal.Ignore(syscall.SIGPIPE)
	return standardOutput{}
}

func (standardOutput) Write(lines []byte) (int, error) { return os.Stdout.Write(lines) }

// Close leaves it open: it isn't the log's own.
func (standardOutput) Close() error { return nil }
