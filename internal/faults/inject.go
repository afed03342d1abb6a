//go:build linux && (amd64 || arm64)

package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// plan is what the supervisor goes by.
var plan struct {
	sync.Mutex
	dir    string
	decide func(Call) Fault
	seen   []Event
}

var once = sync.OnceValue(start)

// Inject asks decide about each watched call on a file below dir, or on dir itself, from now on and from every goroutine:
// one call at a time, in the order in which they come, counted from 1. A later Inject takes the place of this one, and
// counts anew; nil lets every call happen. Standard input, output and error are never asked about.
//
// decide runs while its caller waits, on a thread that nobody else serves: it must not write, create, rename or remove
// anything, nor wait for a lock or channel of code that does.
//
// The first Inject of a process puts a filter on it for ever; from then on it must not start other programs. The error is
// ErrRefused when the machine forbids that, or says why dir is not a folder.
func Inject(dir string, decide func(Call) Fault) error {
	real := dir
	if decide != nil {
		var err error
		if real, err = filepath.EvalSymlinks(dir); err != nil {
			return fmt.Errorf("faults below %s: %w", dir, err)
		}
		if real, err = filepath.Abs(real); err != nil {
			return fmt.Errorf("faults below %s: %w", dir, err)
		}
	}
	if err := once(); err != nil {
		return err
	}
	plan.Lock()
	defer plan.Unlock()
	plan.dir, plan.decide = real, decide
	if decide != nil {
		plan.seen = nil
	}
	return nil
}

// Seen returns the calls counted by the last Inject that had a decision, in order, with what became of each. They stay
// after Inject with nil.
func Seen() []Event {
	plan.Lock()
	defer plan.Unlock()
	return slices.Clone(plan.seen)
}

func start() error {
	memory, err := unix.Open("/proc/self/mem", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%w to show a process its memory: /proc/self/mem: %w", ErrRefused, err)
	}
	exempt, err := runtimeDescriptors()
	if err != nil {
		return err
	}
	filter := program(arch(), append(exempt, 0, 1, 2))
	installed := make(chan error)
	go func() {
		// Never unlocked: this thread is the supervisor's alone.
		runtime.LockOSThread()
		listener, err := install(filter)
		if err != nil {
			installed <- err
			return
		}
		s := &supervisor{listener: listener, memory: memory}
		go func() { installed <- nil }()
		s.run()
	}()
	return <-installed
}

// runtimeDescriptors returns the descriptors that Go's scheduler writes to, with the processor in its hands that the
// supervisor may need to answer: to wait for an answer there would be for ever.
func runtimeDescriptors() ([]int, error) {
	// The first pipe makes the runtime open its own.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	defer w.Close()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	var fds []int
	for _, link := range links {
		fd, err := strconv.Atoi(link.Name())
		if err != nil {
			continue
		}
		if target, err := os.Readlink("/proc/self/fd/" + link.Name()); err == nil && strings.HasPrefix(target, "anon_inode:[eventfd]") {
			fds = append(fds, fd)
		}
	}
	if fds == nil {
		return nil, errors.New("faults: this Go runtime wakes its network poller by other means than an eventfd: look how, and exempt that in runtimeDescriptors")
	}
	return fds, nil
}
