package link

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/link/linktest"
)

// What is wrong with a certificate is told as long as it is so.
func TestProblems(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	dir := t.TempDir()
	leaf := hubLeaf
	leaf.Until = time.Now().Add(2 * time.Second)
	s, _ := open(t, linktest.Write(t, dir, ca.Issue(t, leaf), ca))
	if all := s.Problems(); len(all) > 0 {
		t.Errorf("nothing is wrong: %q", all)
	}
	run(t, s)
	eventually(t, "it has expired", func() bool {
		return strings.Contains(strings.Join(s.Problems(), "\n"), "has expired at "+leaf.Until.UTC().Format("2006-01-02T15:04"))
	})
	if err := os.WriteFile(filepath.Join(dir, "tls.crt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "and the next can't be read", func() bool {
		all := s.Problems()
		return len(all) == 2 && strings.Contains(all[0], "tls.crt holds no certificate")
	})
	linktest.Write(t, dir, ca.Issue(t, hubLeaf), ca)
	eventually(t, "all is well again", func() bool { return len(s.Problems()) == 0 })
}
