package replica

import (
	"testing"
	"time"
)

// Between two looks at clocks a process may be stopped: the instant that a receipt names mustn't be one that is too early.
func TestWallIsNoEarlier(t *testing.T) {
	h := &Hub{start: time.Now()}
	for range 1000 {
		const ends = time.Minute
		if early := ends - h.wall(ends).Sub(h.start); early > 0 {
			t.Fatalf("an instant is told %v too early", early)
		}
	}
}
