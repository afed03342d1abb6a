package key_test

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
)

// sameAsRecord fails unless a scan is of one opinion with who decodes the whole
// record.
func sameAsRecord(t *testing.T, s *key.Scan, b []byte) {
	t.Helper()
	var m keyv1.Record
	var r *key.Record
	err := proto.Unmarshal(b, &m)
	if err == nil {
		r, err = key.FromProto(&m)
	}
	if got := s.Read(b); (got == nil) != (err == nil) || err != nil && got.Error() != err.Error() {
		t.Fatalf("the scan says %v, the record %v", got, err)
	}
	if err != nil {
		return
	}
	if s.ID != r.ID || s.Revision != r.Revision || len(s.Secrets) != len(r.Secrets) {
		t.Fatalf("scanned %q at %d with %d secrets of %+v", s.ID, s.Revision, len(s.Secrets), r)
	}
	for i, secret := range s.Secrets {
		want, ok := r.FactsOf(secret.Digest)
		for j := range r.Secrets[:i] {
			ok = ok && r.Secrets[j].Digest != secret.Digest // else the facts of the other are told
		}
		if !ok {
			continue
		}
		if len(want.Scopes) == 0 {
			want.Scopes = nil
		}
		if secret.Digest != r.Secrets[i].Digest || !reflect.DeepEqual(secret.Facts, *want) {
			t.Fatalf("secret %d: scanned %+v, want %+v", i, secret.Facts, *want)
		}
	}
}

func scanned() []*key.Record {
	r := issued()
	rotated, _ := r.Rotate(secret("second"), time.Hour, at(20))
	disabled, _ := r.Disable()
	full := &key.Record{
		ID: "another form of name", Policy: "p", Type: "t", Environment: "live", Principal: "user:ada", Creator: "user:eve",
		Role: "editor", Scopes: []string{"b", "a", ""}, Name: "n\u00e4me", Description: "d", System: true, Disabled: true, Revision: 1 << 40,
		Secrets: []key.Secret{{Digest: secret("x").Digest, Created: at(1)}}, Created: at(1), Expires: time.Unix(-5, 7).UTC(), Revoked: at(9),
	}
	return []*key.Record{r, rotated, disabled, rotated.Revoke(at(30)), full}
}

func TestScanReadsWhatIsStored(t *testing.T) {
	var s key.Scan
	for _, r := range scanned() {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.ToProto())
		if err != nil {
			t.Fatal(err)
		}
		sameAsRecord(t, &s, b)
		if n := testing.AllocsPerRun(10, func() { _ = s.Read(b) }); n != 0 {
			t.Errorf("%s: %v allocations: it wasn't read as it is stored", r.ID, n)
		}
		for i := range b {
			for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xff} {
				c := append([]byte{}, b...)
				c[i] ^= flip
				sameAsRecord(t, &s, c)
			}
			sameAsRecord(t, &s, b[:i])
		}
		sameAsRecord(t, &s, append(append([]byte{}, b...), b...))
	}
}

func FuzzScan(f *testing.F) {
	for _, r := range scanned() {
		b, _ := proto.Marshal(r.ToProto())
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameAsRecord(t, &key.Scan{}, b) })
}

func TestIDs(t *testing.T) {
	for _, text := range []string{key.NewID(), "", "key_", "key_1", "key_00000000000000000000000000000000", "key_ABCDEF00000000000000000000000000", "key_abcdef0000000000000000000000000g", "other_abcdef00000000000000000000000000"} {
		id := key.ParseID(text)
		if id.String() != text || id != key.ParseID(text) || string(id.Append([]byte("x"))) != "x"+text {
			t.Errorf("%q came back as %q", text, id)
		}
		if random, ok := id.Random(); ok && key.RandomID(random) != id {
			t.Errorf("%q isn't made of its random bits", text)
		}
	}
}
