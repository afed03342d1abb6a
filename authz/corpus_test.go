package authz_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/e2e/world"
	"github.com/latchkey/latchkey/internal/oracle"
)

// corpusMessages are what a real Envoy asked about each request of e2e/corpus,
// in both profiles (e2e, TestRecordCorpus).
func corpusMessages(tb testing.TB) [][]byte {
	tb.Helper()
	packed, err := os.ReadFile("testdata/corpus.gz")
	if err != nil {
		tb.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		tb.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	var messages [][]byte
	for len(all) > 0 {
		message, n := protowire.ConsumeBytes(all)
		if n < 0 {
			tb.Fatal("the recorded corpus is cut off")
		}
		messages = append(messages, message)
		all = all[n:]
	}
	return messages
}

// TestCorpusOnBothWays: the crafted requests are read and answered, to the
// byte, as the generated types do it, in the world that they were crafted for.
func TestCorpusOnBothWays(t *testing.T) {
	policies, err := world.Policies("../examples")
	if err != nil {
		t.Fatal(err)
	}
	w := oracle.Fixture()
	view := world.View(w, policies)
	s := authz.NewServer(authz.Options{Source: func() authz.View { return view }, Now: func() time.Time { return w.Now }})
	messages := corpusMessages(t)
	for i, message := range messages {
		if err := authz.CheckBoth(s, w.Now, message); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if len(messages) < 2400 {
		t.Errorf("%d messages are recorded: the corpus has 1200 requests and two profiles", len(messages))
	}
}
