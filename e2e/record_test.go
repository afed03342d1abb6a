package e2e

import (
	"bytes"
	"compress/gzip"
	"os"
	"regexp"
	"sync"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/latchkey/latchkey/e2e/corpus"
	"github.com/latchkey/latchkey/internal/oracle"
)

// recorder is protobuf's codec that keeps every CheckRequest as it came.
type recorder struct {
	encoding.CodecV2
	mu       sync.Mutex
	messages [][]byte
}

func (r *recorder) Unmarshal(data mem.BufferSlice, v any) error {
	if _, ok := v.(*authv3.CheckRequest); ok {
		r.mu.Lock()
		r.messages = append(r.messages, data.Materialize())
		r.mu.Unlock()
	}
	return r.CodecV2.Unmarshal(data, v)
}

// chance is what Envoy makes up in each message: its stream's number, and the
// id of the request.
var chance = regexp.MustCompile(`[0-9]{15,20}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// TestRecordCorpus writes what a real Envoy asks about each request of the
// corpus, in both profiles, to the file that LATCHKEY_RECORD names: compressed,
// each message after its length, and zeros in place of what is chance. It is run to make authz/testdata/corpus.gz
// anew when the corpus or the Envoy has changed.
func TestRecordCorpus(t *testing.T) {
	name := os.Getenv("LATCHKEY_RECORD")
	if name == "" {
		t.Skip("LATCHKEY_RECORD is not set")
	}
	f := newFixture(t)
	r := &recorder{CodecV2: encoding.GetCodecV2("proto")}
	m := startMesh(t, serveCheck(t, f.server, grpc.ForceServerCodecV2(r)))
	for _, c := range corpus.Cases(oracle.Fixture()) {
		for _, p := range corpus.Profiles {
			m.send(t, p, c)
		}
	}
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range r.messages {
		message = chance.ReplaceAllFunc(message, func(b []byte) []byte { return bytes.Repeat([]byte("0"), len(b)) })
		if _, err := z.Write(append(protowire.AppendVarint(nil, uint64(len(message))), message...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d messages", len(r.messages))
}
