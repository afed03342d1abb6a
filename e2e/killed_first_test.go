package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// TestKilledAtTheFirstStart kills the process while it makes its store: the
// next start has nothing to lose, and must not take what is there for damage.
func TestKilledAtTheFirstStart(t *testing.T) {
	dir, err := envoytest.SocketDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	n := number(t, "LATCHKEY_KILLS", 300) / 10
	if testing.Short() {
		n = 5
	}
	usual := 50 * time.Millisecond // until it answers
	for i := range max(n, 5) {
		data := filepath.Join(dir, strconv.Itoa(i))
		v, err := startVictim(data)
		if err != nil {
			t.Fatal(err)
		}
		wait(time.Duration(rand.Int64N(int64(usual))))
		if err := v.kill(); err != nil {
			t.Fatalf("%v\n%s", err, v.log.tail(20))
		}
		if v, err = startVictim(data); err != nil {
			t.Fatal(err)
		}
		status, took, err := v.answers(t.Context())
		if err != nil {
			_ = v.kill()
			t.Fatalf("start %d: %v\n%s", i, err, v.log.tail(20))
		}
		if usual = took; status.GetPosition().GetRevision() != 0 {
			t.Errorf("start %d: a store that nobody wrote to is at %v", i, status.GetPosition())
		}
		if err := v.stop(); err != nil {
			t.Fatalf("%v\n%s", err, v.log.tail(20))
		}
		_ = os.RemoveAll(data)
	}
}
