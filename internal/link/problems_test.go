package link

import (
	"crypto/tls"
	"errors"
	"log/slog"
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
	var s *Source
	for soon := 2 * time.Second; s == nil; soon *= 2 {
		leaf.Until = time.Now().Add(soon).Truncate(time.Second) // as a certificate has it
		one, err := Open(t.Context(), linktest.Write(t, dir, ca.Issue(t, leaf), ca), slog.New(slog.DiscardHandler))
		var all []string
		if err == nil {
			all = one.Problems()
		}
		switch {
		case time.Now().After(leaf.Until) && soon < patience/2: // the machine is busy: it may have expired before it was looked at
		case err != nil:
			t.Fatal(err)
		case len(all) > 0:
			t.Fatalf("nothing is wrong: %q", all)
		default:
			s = one
		}
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

// Who can do without a certificate for a while begins without one, and takes up the first that is good.
func TestWithoutACertificate(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	dir := t.TempDir()
	expired := hubLeaf
	expired.From, expired.Until = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	log := &logged{}
	s, err := New(linktest.Write(t, dir, ca.Issue(t, expired), ca), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err = s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "the certificate expired at") {
		t.Fatalf("an expired certificate was taken: %v", err)
	}
	s.Without(err)
	if all := s.Problems(); len(all) != 1 || !strings.Contains(all[0], "no link is made") || !strings.Contains(all[0], "the certificate expired at") {
		t.Errorf("what is wrong isn't told: %q", all)
	}
	config := s.ClientTLS("localhost", NewAllowList(Identities{}))
	if err := config.VerifyConnection(tls.ConnectionState{}); !errors.Is(err, errNone) {
		t.Errorf("a server is believed: %v", err)
	}
	if _, err := config.GetClientCertificate(nil); !errors.Is(err, errNone) {
		t.Errorf("there is a certificate to show: %v", err)
	}
	if got := metric(t, s, "latchkey_certificate_expiry_timestamp_seconds", ""); got != 0 {
		t.Errorf("it expires at %v", got)
	}
	run(t, s)
	linktest.Write(t, dir, ca.Issue(t, hubLeaf), ca)
	eventually(t, "it is taken up", func() bool { return len(s.Problems()) == 0 })
	if _, err := config.GetClientCertificate(nil); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "there are no others"); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, log.String())
	}
}
