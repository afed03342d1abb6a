package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/latchkey/latchkey/examples"
	"github.com/latchkey/latchkey/internal/envoytest"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const (
	// fleetSize is how many sidecars there are.
	fleetSize = 5
	// fleetStaleness is how long they answer without news of the hub, which is short so that it can be seen.
	fleetStaleness = 10 * time.Second
	// endTime is how long a process of the demo may take to end.
	endTime = 5 * time.Second
)

// fleet is a running demonstration of a hub and sidecars.
type fleet struct {
	*demo
	program, sidecar string // the binaries
	hub              *envoytest.Process
	pods             []*pod
}

// pod is what would be one: a sidecar, and the Envoy that asks it.
type pod struct {
	name    string
	sidecar *envoytest.Process
	envoy   *envoytest.Envoy
}

// address is where its Envoy listens.
func (p *pod) address() string { return p.envoy.Addr(string(envoytest.Hardened)) }

func runFleet(ctx context.Context, out io.Writer, once bool) (err error) {
	f := &fleet{}
	if f.program, f.sidecar, err = fleetPrograms(); err != nil {
		return err
	}
	if _, err := envoytest.Find(); err != nil {
		return err // which says how to get one
	}
	dir, err := envoytest.SocketDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f.demo = &demo{
		client: &client{output: &output{}, admin: "unix:" + filepath.Join(dir, "hub", "admin.sock")},
		out:    out, dir: dir, keys: map[string]*adminv1.Key{},
	}
	if err := f.connect(ctx, io.Discard); err != nil {
		return err
	}
	policy, err := examples.Files.ReadFile("kodey/policy.yaml")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "kodey.yaml"), policy, 0o600); err != nil {
		return err
	}
	defer f.end()
	if err := f.startHub(ctx); err != nil {
		return err
	}
	upstream, err := envoytest.StartUpstream()
	if err != nil {
		return err
	}
	defer upstream.Close()
	if err := f.startPods(ctx, upstream.Addr()); err != nil {
		return err
	}
	if err := f.tell(ctx); err != nil || once {
		return err
	}
	f.say("\nServing until Ctrl-C. All of it lies in %s.\n", dir)
	select {
	case <-ctx.Done():
		return nil
	case err := <-f.ended():
		return err
	}
}

// fleetPrograms returns the files of this program and of the sidecar, which has to be beside it.
func fleetPrograms() (program, sidecar string, err error) {
	if program, err = os.Executable(); err != nil {
		return "", "", fmt.Errorf("where this program is can't be told: %w", err)
	}
	sidecar = filepath.Join(filepath.Dir(program), "latchkey-sidecar")
	if _, err := exec.LookPath(sidecar); err != nil {
		return "", "", fmt.Errorf("latchkey-sidecar isn't beside this program (%w): build both into one folder, as `make build` does", err)
	}
	return program, sidecar, nil
}

// startHub starts the hub and waits until it is ready.
func (f *fleet) startHub(ctx context.Context) (err error) {
	f.hub, err = f.start("hub", f.program, "serve", "--policy", filepath.Join(f.dir, "kodey.yaml"), "--data", filepath.Join(f.dir, "hub"),
		"--http", "127.0.0.1:0", "--hub-listen", "unix:"+f.hubSocket())
	if err != nil {
		return err
	}
	return f.await(ctx, f.hub, "the hub", func(ctx context.Context) error {
		a, err := ask(ctx, f.server.GetStatus, &adminv1.GetStatusRequest{})
		if err == nil && !a.GetReady() {
			err = errors.New("it isn't ready yet")
		}
		return f.explain(err)
	})
}

func (f *fleet) hubSocket() string { return filepath.Join(f.dir, "hub", "hub.sock") }

// startPods starts the sidecars and their Envoys, all at the same time, and waits until each of them decides.
func (f *fleet) startPods(ctx context.Context, upstream string) error {
	f.pods = make([]*pod, fleetSize)
	errs := make([]error, fleetSize)
	var all sync.WaitGroup
	for i := range f.pods {
		f.pods[i] = &pod{name: fmt.Sprintf("pod-%d", i+1)}
		all.Go(func() { errs[i] = f.startPod(ctx, f.pods[i], upstream) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (f *fleet) startPod(ctx context.Context, p *pod, upstream string) (err error) {
	data := filepath.Join(f.dir, p.name)
	p.sidecar, err = f.start(p.name, f.sidecar, "--hub", "unix:"+f.hubSocket(), "--data", data, "--http", "127.0.0.1:0",
		"--name", p.name, "--max-staleness", fleetStaleness.String())
	if err != nil {
		return err
	}
	p.envoy, err = envoytest.Start(ctx, envoytest.Config{
		AuthzSocket: filepath.Join(data, "authz.sock"), Upstream: upstream,
		Listeners:     []envoytest.Listener{{Profile: envoytest.Hardened}},
		PolicyHeaders: []string{"x-team-id"},
		CheckTimeout:  demoCheck,
	})
	if err != nil {
		return err
	}
	return f.await(ctx, p.sidecar, p.name, func(ctx context.Context) error {
		status, err := f.get(ctx, p, "")
		if err == nil && status != 401 {
			err = fmt.Errorf("it answers %d to a request without a key", status)
		}
		return err
	})
}

// start runs a program whose log is a file of the folder.
func (f *fleet) start(name, program string, args ...string) (*envoytest.Process, error) {
	p, err := envoytest.StartProcess(exec.Command(program, args...), filepath.Join(f.dir, name+".log"), nil)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// await waits until something holds of a process.
func (f *fleet) await(ctx context.Context, p *envoytest.Process, name string, holds func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, demoStart)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return p.Blame(fmt.Errorf("%s ended by itself", name))
		case <-ctx.Done():
			return p.Blame(fmt.Errorf("%s isn't ready in %s: %w", name, demoStart, errors.Join(ctx.Err(), err)))
		}
	}
}

// ended tells of the first process that ends, and what it said last.
func (f *fleet) ended() <-chan error {
	first := make(chan error, 1)
	watch := func(name string, p interface {
		Done() <-chan struct{}
		LogTail() string
	},
	) {
		<-p.Done()
		select {
		case first <- fmt.Errorf("%s ended by itself:\n%s", name, p.LogTail()):
		default:
		}
	}
	go watch("the hub", f.hub)
	for _, p := range f.pods {
		go watch(p.name, p.sidecar)
		go watch("the Envoy of "+p.name, p.envoy)
	}
	return first
}

// end ends all processes. Those that ask first.
func (f *fleet) end() {
	var all sync.WaitGroup
	for _, p := range f.pods {
		all.Go(func() {
			if p.envoy != nil {
				p.envoy.Stop()
			}
			if p.sidecar != nil {
				p.sidecar.End(endTime)
			}
		})
	}
	all.Wait()
	if f.hub != nil {
		f.hub.End(endTime)
	}
}
