package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const (
	usageFlush = time.Second
	usagePods  = 3
)

// usedFleet is a hub and its sidecars, and what each sidecar has answered.
type usedFleet struct {
	*killedFleet

	mu      sync.Mutex
	answers map[string]map[string]int // how often, by key and reason
	unsure  map[string]map[string]int // of these it isn't known whether they were written down before a kill
	total   int
}

func newUsedFleet(t *testing.T, kills int) *usedFleet {
	f := &usedFleet{killedFleet: newKilledFleet(t, kills), answers: map[string]map[string]int{}, unsure: map[string]map[string]int{}}
	f.load()
	return f
}

func (f *usedFleet) start(name string) (*pod, error) {
	return startPod(filepath.Join(f.dir, name), name, "--hub", "unix:"+filepath.Join(f.dir, "hub.sock"), "--max-staleness", "10m", "--usage-flush", "1s")
}

// stop lets a sidecar end by itself.
func (p *pod) stop() error {
	p.killed.Store(true)
	defer func() { _ = p.conn.Close(); p.http.CloseIdleConnections() }()
	return endProcess(p.cmd, p.exited, p.log, syscall.SIGTERM, endedByItself)
}

// asked is a check, and when its answer came.
type asked struct {
	key, reason string
	at          time.Time
}

// ask presents a secret of a random key. It returns false where the answer says nothing of a key.
func (f *usedFleet) ask(ctx context.Context, p *pod, k killedKey) (asked, bool, error) {
	a := asked{key: k.id, reason: "ALLOWED"}
	status, err := p.ask(ctx, kodeyTeam, k.token)
	if a.at = time.Now(); err != nil {
		return a, false, err
	}
	switch status {
	case http.StatusOK:
		return a, true, nil
	case http.StatusUnauthorized:
		a.reason = "KEY_REVOKED"
		return a, true, nil
	case http.StatusServiceUnavailable: // nothing has come of the hub yet
		return a, false, nil
	}
	return a, false, fmt.Errorf("a key is answered %d", status)
}

func count(into map[string]map[string]int, a asked) {
	if into[a.key] == nil {
		into[a.key] = map[string]int{}
	}
	into[a.key][a.reason]++
}

// note notes what a sidecar has answered, of which what came after a moment may be lost.
func (f *usedFleet) note(all []asked, sure time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total += len(all)
	for _, a := range all {
		count(f.answers, a)
		if a.at.After(sure) {
			count(f.unsure, a)
		}
	}
}

// counted asks the hub how often keys were presented, by key and reason.
func (f *usedFleet) counted(ctx context.Context, v *victim) (map[string]map[string]int, error) {
	all := map[string]map[string]int{}
	for _, k := range f.live {
		a, err := v.keys.GetKeyUsage(ctx, connect.NewRequest(&adminv1.GetKeyUsageRequest{Id: k.id, Since: durationpb.New(24 * time.Hour)}))
		if err != nil {
			return nil, err
		}
		all[k.id] = map[string]int{}
		for _, c := range a.Msg.GetUsage().GetCounts() {
			all[k.id][c.GetReason()] = int(c.GetCount())
		}
	}
	return all, nil
}

// compareUsage compares what the hub counts with what was answered: never more, and less only by what a kill may lose.
func (f *usedFleet) compareUsage(got map[string]map[string]int, underway int) (lost int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	more := 0
	for _, k := range f.live {
		for _, reason := range []string{"ALLOWED", "KEY_REVOKED"} {
			n, want, unsure := got[k.id][reason], f.answers[k.id][reason], f.unsure[k.id][reason]
			more += max(0, n-want)
			lost += want - n
			if n < want-unsure {
				err = fmt.Errorf("LOST: of %d checks of %s that were answered %s the hub counts %d, and kills may have lost %d", want, k.id, reason, n, unsure)
			}
		}
	}
	if more > underway {
		err = fmt.Errorf("TWICE: the hub counts %d checks more than were answered, and %d were under way at kills", more, underway)
	}
	return lost, err
}

// TestUsageIsExact sends checks through three sidecars, which are stopped and started in between, as the hub is: what
// the hub counts is what was answered, by key, secret and reason.
func TestUsageIsExact(t *testing.T) {
	f := newUsedFleet(t, 0)
	ctx := t.Context()
	v, err := f.startHub()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.answers(ctx); err != nil {
		t.Fatal(err)
	}
	keys := f.live[:5]
	if _, err := v.keys.RevokeKey(ctx, connect.NewRequest(&adminv1.RevokeKeyRequest{Id: keys[4].id})); err != nil {
		t.Fatal(err)
	}
	rotated, err := v.keys.RotateKey(ctx, connect.NewRequest(&adminv1.RotateKeyRequest{Id: keys[0].id, Grace: durationpb.New(time.Hour)}))
	if err != nil {
		t.Fatal(err)
	}
	fresh := killedKey{id: keys[0].id, token: rotated.Msg.GetKey().GetToken()}
	r := rand.New(rand.NewPCG(1, 2))
	old := 0
	for round := range 2 {
		var pods []*pod
		for n := range usagePods {
			p, err := f.start(fmt.Sprintf("side-%d", n))
			if err != nil {
				t.Fatal(err)
			}
			pods = append(pods, p)
			if err := p.awaitRevision(ctx, f.revision+2); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it answers", func() error {
				got, err := p.ask(ctx, kodeyTeam, "nobody's")
				if err == nil && got != http.StatusUnauthorized {
					err = fmt.Errorf("it answers %d", got)
				}
				return err
			})
		}
		for _, p := range pods {
			var all []asked
			for range 200 {
				k := keys[r.IntN(len(keys))]
				if k.id == fresh.id {
					if r.IntN(2) == 0 {
						k = fresh
					} else {
						old++
					}
				}
				a, ok, err := f.ask(ctx, p, k)
				if err != nil || !ok {
					t.Fatalf("%v, %v\n%s", ok, err, p.log.tail(10))
				}
				all = append(all, a)
			}
			f.note(all, time.Now())
		}
		if round == 1 { // the hub is away when they stop: what they counted waits in their files
			if err := v.stop(); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range pods {
			if err := p.stop(); err != nil {
				t.Fatalf("%v\n%s", err, p.log.tail(10))
			}
		}
	}
	if v, err = f.startHub(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.kill() }()
	for n := range usagePods {
		p, err := f.start(fmt.Sprintf("side-%d", n))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.kill() }()
	}
	eventually(t, "the hub counts what was answered", func() error {
		got, err := f.counted(ctx, v)
		if err != nil {
			return err
		}
		lost, err := f.compareUsage(got, 0)
		if err == nil && lost != 0 {
			err = fmt.Errorf("%d are missing", lost)
		}
		return err
	})
	a, err := v.keys.GetKeyUsage(ctx, connect.NewRequest(&adminv1.GetKeyUsageRequest{Id: fresh.id}))
	if err != nil {
		t.Fatal(err)
	}
	u := a.Msg.GetUsage()
	if len(u.GetSecrets()) != 2 || len(u.GetSecrets()[0].GetSinceReplaced()) != 1 || u.GetSecrets()[0].GetSinceReplaced()[0].GetCount() != uint64(old) {
		t.Errorf("the old secret was presented %d times: %v", old, u.GetSecrets())
	}
	if len(u.GetReports()) != usagePods {
		t.Errorf("reports of %d replicas: %v", len(u.GetReports()), u.GetReports())
	}
	t.Logf("%d checks answered by %d sidecars, as many counted at the hub", f.total, usagePods)
}

// TestKilledUsage sends checks through three sidecars while they and their hub are killed, again and again. What the hub
// counts in the end is what was answered, but for at most a flush interval of each sidecar that was killed, and nothing
// is counted twice.
//
// LATCHKEY_USAGE_KILLS is how often.
func TestKilledUsage(t *testing.T) {
	kills := number(t, "LATCHKEY_USAGE_KILLS", 8)
	f := newUsedFleet(t, kills)
	began := time.Now()
	var underway, lastInterval int
	var all, pods sync.WaitGroup
	all.Go(func() { f.killUsageHubs() })
	for n := range usagePods {
		pods.Go(func() {
			r := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for !f.over() {
				p, err := f.start(fmt.Sprintf("side-%d", n))
				if err != nil {
					f.fail(err, &logBuffer{})
					return
				}
				type driven struct {
					all []asked
					cut int
				}
				done := make(chan driven, 1)
				driver := rand.New(rand.NewPCG(r.Uint64(), 0))
				go func() {
					all, cut := f.drive(p, driver)
					done <- driven{all, cut}
				}()
				written := make(chan time.Time, 1)
				go func() { written <- p.writtenUntil(f.t.Context()) }()
				select {
				case <-time.After(time.Duration(500+r.IntN(4000)) * time.Millisecond):
				case <-f.failed:
				}
				f.left.Add(-1)
				f.kills.Add(1)
				at := time.Now()
				if err := p.kill(); err != nil {
					f.fail(err, p.log)
					return
				}
				d := <-done
				answered, cut := d.all, d.cut
				f.note(answered, <-written)
				f.mu.Lock()
				underway += cut
				for _, a := range answered {
					if a.at.After(at.Add(-usageFlush)) {
						lastInterval++
					}
				}
				f.mu.Unlock()
			}
		})
	}
	pods.Wait()
	close(f.alone)
	all.Wait()
	if t.Failed() {
		return
	}
	v, err := f.startHub()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.kill() }()
	for n := range usagePods { // what waits in their files is sent, and then they end in good order
		p, err := f.start(fmt.Sprintf("side-%d", n))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.kill() }()
		eventually(t, "nothing is left to report", func() error {
			at, err := p.gauge(t.Context(), lastFlush)
			if err == nil && at == 0 {
				err = errors.New("its file may not be open yet")
			}
			if err != nil {
				return err
			}
			return p.metric(t.Context(), "latchkey_usage_pending_batches", 0)
		})
	}
	var got map[string]map[string]int
	eventually(t, "the hub tells of usage", func() error {
		got, err = f.counted(t.Context(), v)
		return err
	})
	lost, err := f.compareUsage(got, underway)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d kills (%d of the hub) in %s; %d checks answered; %d lost, %d had been answered in the last %s before a sidecar's kill; %d were under way at a kill; none counted twice",
		f.kills.Load(), f.hubs.Load(), time.Since(began).Round(time.Second), f.total, lost, lastInterval, usageFlush, underway)
}

// lastFlush is the metric that says when a sidecar has last written down what it counted.
const lastFlush = "latchkey_usage_last_flush_timestamp_seconds"

// writtenUntil looks at a sidecar until it is killed, and returns a moment: what it had answered by then is written down, however
// long the disk took.
func (p *pod) writtenUntil(ctx context.Context) (until time.Time) {
	var next, looked time.Time
	for was := 0.0; !p.killed.Load(); wait(20 * time.Millisecond) {
		at := time.Now()
		now, err := p.gauge(ctx, lastFlush)
		if err != nil {
			continue
		}
		if now != was {
			// A write has ended since the last look. It began when the one before had ended, which was after next.
			until, next, was = next, looked, now
		}
		looked = at
	}
	return until
}

// drive presents keys until the sidecar is killed, and returns what was answered, and how many checks had no answer.
func (f *usedFleet) drive(p *pod, r *rand.Rand) (all []asked, cut int) {
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	for {
		a, ok, err := f.ask(ctx, p, f.live[r.IntN(len(f.live))])
		switch {
		case err != nil && p.killed.Load():
			return all, 1
		case err != nil:
			f.fail(err, p.log)
			return all, cut
		case ok:
			all = append(all, a)
		}
		wait(2 * time.Millisecond)
	}
}

// killUsageHubs starts the hub and kills it, until no sidecar is left.
func (f *usedFleet) killUsageHubs() {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for {
		v, err := f.startHub()
		if err != nil {
			f.fail(err, &logBuffer{})
			return
		}
		over := false
		select {
		case <-time.After(time.Duration(200+r.IntN(2500)) * time.Millisecond):
		case <-f.alone:
			over = true
		}
		f.left.Add(-1)
		f.kills.Add(1)
		f.hubs.Add(1)
		if err := v.kill(); err != nil {
			f.fail(err, v.log)
			return
		}
		if over {
			return
		}
	}
}

// metric returns an error unless a metric of a sidecar is as it should be, and it has followed since its start.
func (p *pod) metric(ctx context.Context, name string, want float64) error {
	for metric, want := range map[string]float64{name: want, "latchkey_replica_connected": 1} {
		got, err := p.gauge(ctx, metric)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s is %v, and should be %v", metric, got, want)
		}
	}
	return nil
}
