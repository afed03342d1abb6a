package plural_test

import (
	"testing"

	"github.com/latchkey/latchkey/internal/plural"
)

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 keys are", 1: "1 key is", 2: "2 keys are", 11: "11 keys are", 21: "21 keys are"} {
		if got := plural.Count(n, "key") + " " + plural.Pick(n, "is", "are"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
