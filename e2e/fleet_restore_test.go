package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const keptBackups = 4

// backup makes a backup of the hub while it works.
func (f *fleet) backup(*rand.Rand) error {
	soon, done := context.WithTimeout(f.ctx, patience)
	defer done()
	if err := f.ready(soon); err != nil { // it may have been started a moment ago
		return err
	}
	f.made++
	path := filepath.Join(f.dir, fmt.Sprintf("backup-%d.db", f.made))
	if _, err := f.latchkey("db", "backup", path, "--admin", "unix:"+filepath.Join(f.hub.data, "admin.sock")); err != nil {
		return err
	}
	f.backups = append(f.backups, path)
	if len(f.backups) > keptBackups {
		if err := os.Remove(f.backups[0]); err != nil {
			return err
		}
		f.backups = f.backups[1:]
	}
	return nil
}

// restore puts an old backup in the place of the hub's store. For every key that is a write whose outcome the hub tells
// afterwards: no other write is under way meanwhile, while checks go on.
func (f *fleet) restore(r *rand.Rand) error {
	if len(f.backups) == 0 {
		if err := f.backup(r); err != nil {
			return err
		}
	}
	f.world.Lock()
	defer f.world.Unlock()
	call := f.now()
	end := f.hub.kill
	if r.IntN(2) == 0 {
		end = f.hub.stop
	}
	if err := end(); err != nil {
		return err
	}
	out, err := f.latchkey("db", "restore", f.backups[r.IntN(len(f.backups))], "--data", f.hub.data, "-o", "json")
	if err != nil {
		return err
	}
	var report adminv1.RestoreReport
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(out, &report); err != nil {
		return err
	}
	if report.GetIncomplete() {
		f.count("restore: what was withdrawn isn't all known", 1)
	}
	wait(lasting(r) / 2)
	if err := f.hub.start(); err != nil {
		return err
	}
	now, err := f.list()
	if err != nil {
		return err
	}
	for _, k := range f.allKeys() {
		f.wrote(k, change{to: now[k.id], restore: true, unsure: report.GetIncomplete()}, call) // absent unless it is listed
	}
	return nil
}

// list is what all keys are to the hub, once it answers.
func (f *fleet) list() (map[string]standing, error) {
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	if err := f.ready(ctx); err != nil {
		return nil, err
	}
	all := map[string]standing{}
	q := &adminv1.ListKeysRequest{Tenant: fleetTenant}
	for {
		page, err := f.keys.ListKeys(ctx, connect.NewRequest(q))
		if err != nil {
			return nil, err
		}
		for _, k := range page.Msg.GetKeys() {
			all[k.GetId()] = standingOf(k)
		}
		if q.PageToken = page.Msg.GetNextPageToken(); q.PageToken == "" {
			return all, nil
		}
	}
}

// ready waits until the hub is.
func (f *fleet) ready(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := f.about.GetStatus(ctx, connect.NewRequest(&adminv1.GetStatusRequest{}))
		if err == nil && a.Msg.GetReady() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the hub isn't ready: %w", err)
		case <-tick.C:
		}
	}
}

// latchkey runs a command, and returns what it prints.
func (f *fleet) latchkey(args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(f.ctx, f.hub.path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("latchkey %s: %w\n%s", args[:2], err, errs.String())
	}
	return out.Bytes(), nil
}
