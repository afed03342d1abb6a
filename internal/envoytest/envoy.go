package envoytest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Envoy is a running Envoy. Its methods are safe for concurrent use.
type Envoy struct {
	proc    *Process
	admin   string            // host:port
	addrs   map[string]string // listener name → host:port
	log     *accessLog
	dir     string
	tempDir bool
}

// Start runs Envoy with the bootstrap of cfg and returns once all its listeners are
// open. The context and cfg.StartTimeout bound the start, not the process: the caller
// stops that. The authorization server and the upstreams need not be up yet.
//
// Errors: ErrNoEnvoy; a mistake in cfg; an Envoy that ended or was not ready in time,
// with the end of its log.
func Start(ctx context.Context, cfg Config) (_ *Envoy, err error) {
	binary, err := Find()
	if err != nil {
		return nil, err
	}
	e := &Envoy{dir: cfg.Dir}
	if e.dir == "" {
		if e.dir, err = os.MkdirTemp("", "lkenvoy"); err != nil {
			return nil, fmt.Errorf("envoytest: %w", err)
		}
		e.tempDir = true
	}
	defer func() {
		if err != nil {
			e.Stop()
		}
	}()

	if cfg.AccessLog == "" {
		cfg.AccessLog = filepath.Join(e.dir, "access.log")
	}
	if cfg.Admin == "" {
		cfg.Admin = "127.0.0.1:0"
	}
	cfg.cases = true
	bootstrap := cfg.Written
	if bootstrap == nil {
		if cfg, err = cfg.withDefaults(); err != nil {
			return nil, err
		}
		if bootstrap, err = Bootstrap(cfg); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(e.dir, "envoy.yaml")
	if err := os.WriteFile(config, bootstrap, 0o600); err != nil {
		return nil, fmt.Errorf("envoytest: %w", err)
	}
	e.log = &accessLog{path: cfg.AccessLog}

	adminFile := filepath.Join(e.dir, "admin.addr")
	if err := os.Remove(adminFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("envoytest: %w", err)
	}
	cmd := exec.Command(binary,
		"--config-path", config,
		"--admin-address-path", adminFile,
		// Hot restart would tie instances together through shared memory; without it any
		// number of them run side by side.
		"--disable-hot-restart",
		"--concurrency", "1",
		"--log-level", "warning",
		// Access log lines are read while Envoy runs.
		"--file-flush-interval-msec", "20",
	)
	e.proc, err = StartProcess(cmd, filepath.Join(e.dir, "envoy.log"), cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("envoytest: start %s: %w", binary, err)
	}

	ctx, cancel := context.WithTimeout(ctx, cfg.startTimeout())
	defer cancel()
	if err := e.awaitReady(ctx, adminFile, cfg.Listeners); err != nil {
		return nil, e.proc.Blame(err)
	}
	return e, nil
}

// awaitReady polls until the admin interface is up, says ready, and lists an address
// for each listener.
func (e *Envoy) awaitReady(ctx context.Context, adminFile string, listeners []Listener) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		if last = e.ready(ctx, adminFile, listeners); last == nil {
			return nil
		}
		select {
		case <-e.proc.done:
			return fmt.Errorf("envoytest: envoy ended before it was ready: %w", e.proc.err)
		case <-ctx.Done():
			return fmt.Errorf("envoytest: envoy was not ready in time (%w): raise Config.StartTimeout if the machine is busy; last try: %w", context.Cause(ctx), last)
		case <-ticker.C:
		}
	}
}

func (e *Envoy) ready(ctx context.Context, adminFile string, listeners []Listener) error {
	addr, err := os.ReadFile(adminFile)
	if err != nil {
		return err
	}
	if e.admin = strings.TrimSpace(string(addr)); e.admin == "" {
		return errors.New("the admin address is not written yet")
	}
	if _, err := e.get(ctx, "/ready"); err != nil {
		return err
	}
	if e.addrs, err = e.listenerAddrs(ctx); err != nil {
		return err
	}
	for _, l := range listeners {
		if e.addrs[l.Name] == "" {
			return fmt.Errorf("the listener %s is not open yet", l.Name)
		}
	}
	return nil
}

// Addr returns the host:port of a listener by its name, which is the profile's where
// Config gave it none. It panics when there is no such listener.
func (e *Envoy) Addr(listener string) string {
	addr, ok := e.addrs[listener]
	if !ok {
		panic(fmt.Sprintf("envoytest: there is no listener %q", listener))
	}
	return addr
}

// Has reports whether there is a listener of that name, open by the time Envoy was ready.
func (e *Envoy) Has(listener string) bool { return e.addrs[listener] != "" }

// AdminAddr returns the host:port of Envoy's admin interface.
func (e *Envoy) AdminAddr() string { return e.admin }

// Dir returns the folder with envoy.yaml, envoy.log and access.log.
func (e *Envoy) Dir() string { return e.dir }

// LogTail returns the end of what Envoy printed, for reports of failures.
func (e *Envoy) LogTail() string { return e.proc.LogTail() }

// Done is closed when the process has ended, by Stop or by itself.
func (e *Envoy) Done() <-chan struct{} { return e.proc.done }

// Stop ends the process and waits for it. It is safe to call more than once.
func (e *Envoy) Stop() {
	if e.proc != nil {
		e.proc.End(5 * time.Second)
	}
	if e.tempDir {
		_ = os.RemoveAll(e.dir)
	}
}
