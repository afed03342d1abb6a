package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/examples"
	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/reload"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

const (
	// demoStart is how long the demo's processes may take to be ready.
	demoStart = time.Minute
	// demoCheck is how long an Envoy of the demo waits for an answer: one that is late on a busy machine isn't to be seen as an
	// outage, which it is for nobody else.
	demoCheck = 10 * time.Second
)

func newDemo() *cobra.Command {
	var once, fleet bool
	cmd := &cobra.Command{
		Use:   "demo [flags]",
		Short: "Show it all: a real Envoy in front of an echo upstream, with a key of each type",
		Long: `Show it all: start a real Envoy in front of an upstream that echoes, with the four
example policies and a key of each of their types; send requests through it, print
the answers, and go on serving until Ctrl-C, so that you can send your own.
Everything lies in a temporary folder.

With --fleet it is a hub and five sidecars that follow it, each behind an Envoy of
its own: a key is made and revoked, and the hub is stopped and started again.`,
		Example: `  latchkey demo
  latchkey demo --fleet`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// The server within would take the end of the terminal for a wish to reload, and all of it
			// would stay.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			if fleet {
				return runFleet(ctx, cmd.OutOrStdout(), once)
			}
			return runDemo(ctx, cmd.OutOrStdout(), once)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the requests")
	cmd.Flags().BoolVar(&fleet, "fleet", false, "a hub, and five sidecars that follow it, each behind an Envoy (needs latchkey-sidecar beside this program)")
	return cmd
}

// demo is a running demonstration.
type demo struct {
	*client
	out   io.Writer
	dir   string
	envoy *envoytest.Envoy
	keys  map[string]*adminv1.Key // by the variable that holds the token
}

func runDemo(ctx context.Context, out io.Writer, once bool) (err error) {
	if _, err := envoytest.Find(); err != nil {
		return err // which says how to get one
	}
	dir, err := envoytest.SocketDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	// Latchkey, as `latchkey serve` would run it.
	config, err := demoConfig(dir)
	if err != nil {
		return err
	}
	logFile, err := os.Create(filepath.Join(dir, "latchkey.log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()
	current := reload.NewCurrent(config.settings)
	log := serve.NewLog(logFile, current.Level())
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- runServe(serving, config, log, current) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served)
	}()

	d := &demo{client: &client{output: &output{}, admin: config.admin.String()}, out: out, dir: dir, keys: map[string]*adminv1.Key{}}
	if err := d.connect(ctx, io.Discard); err != nil {
		return err
	}
	if err := d.ready(ctx, served); err != nil {
		return err
	}
	upstream, err := envoytest.StartUpstream()
	if err != nil {
		return err
	}
	defer upstream.Close()
	d.envoy, err = envoytest.Start(ctx, envoytest.Config{
		AuthzSocket: filepath.Join(config.data, "authz.sock"), Upstream: upstream.Addr(),
		Listeners:     []envoytest.Listener{{Profile: envoytest.Hardened}},
		PolicyHeaders: []string{"x-team-id", "x-organization-id"},
		CheckTimeout:  demoCheck,
	})
	if err != nil {
		return err
	}
	defer d.envoy.Stop()

	if err := d.show(ctx); err != nil || once {
		return err
	}
	d.say("\nServing until Ctrl-C. All of it lies in %s.\n", d.dir)
	select {
	case <-ctx.Done():
		return nil
	case <-d.envoy.Done():
		return fmt.Errorf("envoy ended by itself:\n%s", d.envoy.LogTail())
	case err := <-served:
		served <- nil // for whoever waits below
		return errors.Join(errors.New("serving ended by itself"), err)
	}
}

// demoConfig writes the example policies to the folder and says how to serve
// them from there.
func demoConfig(dir string) (*serveConfig, error) {
	data := filepath.Join(dir, "data")
	c := &serveConfig{
		data:   data,
		listen: serve.UnixAddress(filepath.Join(data, "authz.sock")),
		admin:  serve.UnixAddress(filepath.Join(data, "admin.sock")),
	}
	var err error
	if c.http, err = serve.ParseAddress("127.0.0.1:0"); err != nil {
		return nil, err
	}
	for _, system := range examples.Systems {
		text, err := examples.Files.ReadFile(system + "/policy.yaml")
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, system+".yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		c.policies = append(c.policies, file)
	}
	return c, nil
}

// ready waits until the process answers and is ready.
func (d *demo) ready(ctx context.Context, served chan error) error {
	ctx, cancel := context.WithTimeout(ctx, demoStart)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := ask(ctx, d.server.GetStatus, &adminv1.GetStatusRequest{})
		if err == nil && a.GetReady() {
			return nil
		}
		select {
		case <-tick.C:
		case err := <-served:
			served <- nil // for whoever waits below
			return errors.Join(errors.New("serving ended by itself"), err)
		case <-ctx.Done():
			return fmt.Errorf("not ready in %s: %w", demoStart, errors.Join(ctx.Err(), d.explain(err)))
		}
	}
}

// people fills the directory with those of examples.
func (d *demo) people(ctx context.Context, systems ...string) error {
	for _, system := range systems {
		file := system + "/directory.yaml"
		text, err := examples.Files.ReadFile(file)
		if err != nil {
			return err
		}
		people := &directoryv1.Directory{}
		if _, err := strictyaml.Decode(file, text, people); err != nil {
			return err
		}
		if _, err := ask(ctx, d.directory.ApplyDirectory, &adminv1.ApplyDirectoryRequest{Directory: people}); err != nil {
			return d.explain(err)
		}
	}
	return nil
}
