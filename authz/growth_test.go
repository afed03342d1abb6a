package authz

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/storage"
)

// The benchmarks of this file ask how the cost of a check grows: with keys, of
// a real store; with endpoints, policies and headers. LATCHKEY_KEYS is how many
// keys there are at the most.

const mostKeysKnob = "LATCHKEY_KEYS"

func mostKeys(tb testing.TB) int {
	text := os.Getenv(mostKeysKnob)
	if text == "" {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatalf("%s: %v", mostKeysKnob, err)
	}
	return n
}

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const teams = 1000

// nthToken writes the token of the n-th key over one of the same length.
func nthToken(to []byte, n int) {
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n))
	sum := sha256.Sum256(seed[:])
	secret := to[len("sk_live_"):]
	for i := range secret {
		secret[i] = digits[sum[i]%62]
	}
}

// stocked returns a store with so many keys of the policy acme, and their teams.
func stocked(tb testing.TB, keys int) *storage.DB {
	tb.Helper()
	db, err := storage.Open(filepath.Join(tb.TempDir(), "store"), storage.Options{LogEntries: 2})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() }) // it was only read
	c := storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}}
	for i := range teams {
		c.Tenants = append(c.Tenants, &directory.Tenant{ID: fmt.Sprintf("team:t_%d", i), Parent: "org:o_1", Plan: "pro"})
	}
	if _, err := db.Commit(context.Background(), c); err != nil {
		tb.Fatal(err)
	}
	ids := make([]string, keys)
	for i := range ids {
		ids[i] = key.NewID()
	}
	slices.Sort(ids) // bbolt moves what is behind an entry that comes in between
	token := []byte("sk_live_" + filler)
	for some := range slices.Chunk(ids, 20_000) {
		c := storage.Change{}
		for _, id := range some {
			n := keys - len(ids) + len(c.Keys)
			nthToken(token, n)
			c.Keys = append(c.Keys, &key.Record{
				ID: id, Policy: "acme", Type: "secret", Environment: "live", Tenant: fmt.Sprintf("team:t_%d", n%teams), Scopes: []string{"read", "write"},
				Secrets: []key.Secret{{Digest: key.NewToken(string(token)).Digest(), Created: noon}}, Created: noon,
			})
		}
		ids = ids[len(some):]
		if _, err := db.Commit(context.Background(), c); err != nil {
			tb.Fatal(err)
		}
	}
	return db
}

// growing is a server over a store, and one request to it whose token changes.
type growing struct {
	server  *Server
	message []byte
	token   []byte // within the message
	keys    int
}

func newGrowing(tb testing.TB, db *storage.DB, keys int, policies *policy.Policies, request ...string) *growing {
	tb.Helper()
	g := &growing{keys: keys}
	g.server = NewServer(Options{Log: slog.New(slog.DiscardHandler), Source: func() View {
		v := db.Now()
		return View{Policies: policies, Keys: v, Directory: v, Revision: v.Position().Revision, Latest: v.Latest()}
	}})
	placeholder := "sk_live_" + filler
	check := envoy(mapped, "GET", request[0], append(request[1:], "authorization: Bearer "+placeholder)...)
	var err error
	if g.message, err = proto.Marshal(likeAClient(check)); err != nil {
		tb.Fatal(err)
	}
	at := bytes.Index(g.message, []byte(placeholder))
	g.token = g.message[at : at+len(placeholder)]
	return g
}

// once answers the request with another key, and reports whether it may pass.
func (g *growing) once(n int) (policy.Reason, error) {
	nthToken(g.token, n)
	return g.again()
}

func (g *growing) again() (policy.Reason, error) {
	x := newExchange()
	defer x.release()
	x.message = append(x.message, g.message...)
	err := g.server.check(context.Background(), x)
	return x.decision.Reason, err
}

// messages are prepared, so that making up the token isn't measured.
func (g *growing) tokens(random *rand.Rand) [][]byte {
	all := make([][]byte, 1<<16)
	for i := range all {
		all[i] = slices.Clone(g.token)
		nthToken(all[i], random.IntN(g.keys))
	}
	return all
}

func (g *growing) run(b *testing.B) {
	b.Helper()
	tokens := g.tokens(rand.New(rand.NewPCG(1, 2)))
	i := 0
	defer processor(b)()
	for b.Loop() {
		copy(g.token, tokens[i&(len(tokens)-1)])
		if reason, err := g.again(); err != nil || reason != policy.Allowed {
			b.Fatal(reason, err)
		}
		i++
	}
}

func acme(tb testing.TB, more ...*policy.Policy) *policy.Policies {
	tb.Helper()
	return newWorld(tb, more...).policies
}

// BenchmarkKeys checks random keys of a store, of which most aren't in the
// processor's caches.
func BenchmarkKeys(b *testing.B) {
	for keys := 1000; keys <= mostKeys(b); keys *= 10 {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			newGrowing(b, stocked(b, keys), keys, acme(b), "/things").run(b)
		})
	}
}

// BenchmarkDecision decides about random keys: it reads the request and decides,
// and neither answers nor counts.
func BenchmarkDecision(b *testing.B) {
	keys := mostKeys(b)
	g := newGrowing(b, stocked(b, keys), keys, acme(b), "/things")
	tokens := g.tokens(rand.New(rand.NewPCG(1, 2)))
	x := newExchange()
	defer x.release()
	i := 0
	defer processor(b)()
	for b.Loop() {
		copy(g.token, tokens[i&(len(tokens)-1)])
		i++
		x.reset()
		if err := x.request.decode(g.message); err != nil {
			b.Fatal(err)
		}
		d := &x.decision
		d.view, d.request, d.now = g.server.source(), &x.request, g.server.now()
		if d.decide(); d.Reason != policy.Allowed {
			b.Fatal(d.Reason)
		}
	}
}

// BenchmarkEndpoints checks a policy of many endpoints.
func BenchmarkEndpoints(b *testing.B) {
	db := stocked(b, 1000)
	for _, endpoints := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(endpoints), func(b *testing.B) {
			p := manyEndpoints(b, "acme", "api.acme.example", endpoints)
			policies, err := policy.NewPolicies(p)
			if err != nil {
				b.Fatal(err)
			}
			newGrowing(b, db, 1000, policies, fmt.Sprintf("/v1/resource%d/17/part", endpoints/2)).run(b)
		})
	}
}

func manyEndpoints(tb testing.TB, name, host string, endpoints int) *policy.Policy {
	var text strings.Builder
	fmt.Fprintf(&text, `
name: %s
hosts: [%s]
environments: [live, test]
tenants:
  org: {}
  team: {parent: org}
scopes: [read, write]
key_types:
  secret: {format: "sk_{environment}_{secret:32}", owner: team, grantable: [read, write]}
endpoints:
`, name, host)
	for i := range endpoints {
		fmt.Fprintf(&text, "  endpoint %d: {scopes: [read], routes: [\"GET /v1/resource%d\", \"GET /v1/resource%d/{id}/part\"]}\n", i, i, i)
	}
	return compile(tb, text.String())
}

// BenchmarkPolicies checks one of many policies.
func BenchmarkPolicies(b *testing.B) {
	db := stocked(b, 1000)
	for _, policies := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(policies), func(b *testing.B) {
			var more []*policy.Policy
			for i := range policies - 1 {
				more = append(more, manyEndpoints(b, fmt.Sprintf("other-%d", i), fmt.Sprintf("api-%d.example", i), 10))
			}
			newGrowing(b, db, 1000, acme(b, more...), "/things").run(b)
		})
	}
}

// BenchmarkHeaders checks requests with more and more headers, as Envoy sends
// them where allowed_headers isn't set.
func BenchmarkHeaders(b *testing.B) {
	db := stocked(b, 1000)
	for _, headers := range []int{0, 10, 40, 80} {
		b.Run(fmt.Sprint(headers), func(b *testing.B) {
			request := []string{"/things"}
			for i := range headers {
				request = append(request, fmt.Sprintf("x-header-number-%d: some value of a usual length", i))
			}
			newGrowing(b, db, 1000, acme(b), request...).run(b)
		})
	}
}

// BenchmarkBesideAWriter checks random keys while somebody revokes and makes
// keys as fast as the disk lets him, and alone, in turns.
func BenchmarkBesideAWriter(b *testing.B) {
	keys := mostKeys(b)
	db := stocked(b, keys)
	g := newGrowing(b, db, keys, acme(b), "/things")
	tokens := g.tokens(rand.New(rand.NewPCG(1, 2)))
	const turn = 200_000
	took := map[bool][]time.Duration{}
	var commits []time.Duration
	for b.Loop() {
		for _, beside := range []bool{false, true} {
			stop, stopped := make(chan struct{}), make(chan struct{})
			if beside {
				go func() {
					defer close(stopped)
					commits = append(commits, write(b, db, stop)...)
				}()
			} else {
				close(stopped)
			}
			for i := range turn {
				copy(g.token, tokens[i&(len(tokens)-1)])
				begin := time.Now()
				_, err := g.again()
				took[beside] = append(took[beside], time.Since(begin))
				if err != nil {
					b.Fatal(err)
				}
			}
			close(stop)
			<-stopped
		}
	}
	b.ReportMetric(0, "ns/op")
	slices.Sort(commits)
	b.ReportMetric(float64(len(commits)), "commits")
	b.ReportMetric(float64(commits[len(commits)*99/100].Microseconds())/1000, "ms/commit-p99")
	for beside, all := range took {
		slices.Sort(all)
		name := map[bool]string{false: "alone", true: "beside"}[beside]
		for _, p := range []float64{0.5, 0.99, 0.999} {
			b.ReportMetric(float64(all[int(p*float64(len(all)-1))].Nanoseconds()), fmt.Sprintf("ns/%s-p%g", name, 100*p))
		}
	}
}

// write makes keys and revokes them, each durably, until it is stopped. It
// returns how long each commit took until it was visible.
func write(b *testing.B, db *storage.DB, stop <-chan struct{}) (commits []time.Duration) {
	var made *key.Record
	for {
		select {
		case <-stop:
			return commits
		default:
		}
		c := storage.Change{}
		if made == nil {
			made = key.Issue(key.Record{Policy: "acme", Type: "secret", Environment: "live", Tenant: "team:t_1"}, key.Secret{Digest: key.NewToken(key.NewID()).Digest()}, noon)
			c.Keys = []*key.Record{made}
		} else {
			c.Keys, made = []*key.Record{made.Revoke(noon)}, nil
		}
		begin := time.Now()
		at, err := db.Commit(context.Background(), c)
		if err != nil {
			b.Error(err)
			return commits
		}
		commits = append(commits, time.Since(begin))
		if made != nil {
			made.Revision = at.Revision
		}
	}
}

// What is measured is what is meant.
func TestGrowth(t *testing.T) {
	db := stocked(t, 100)
	g := newGrowing(t, db, 100, acme(t), "/things")
	for n, want := range map[int]policy.Reason{0: policy.Allowed, 99: policy.Allowed, 100: policy.KeyUnknown} {
		if got, err := g.once(n); got != want || err != nil {
			t.Errorf("key %d: %s, %v, want %s", n, got, err, want)
		}
	}
}
