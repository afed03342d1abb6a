package admin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// atOnce runs functions at once and returns their errors.
func atOnce(functions ...func() error) []error {
	errs := make([]error, len(functions))
	var done sync.WaitGroup
	begin := make(chan struct{})
	for i, f := range functions {
		done.Go(func() {
			<-begin
			errs[i] = f()
		})
	}
	close(begin)
	done.Wait()
	return errs
}

func TestConcurrentWritesOfOneKey(t *testing.T) {
	for round := range 20 {
		b := start(t)
		id := b.make(operator, plainKey).GetId()
		before := b.store.Position().Revision
		revoke := func() error {
			_, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: id})
			return err
		}
		rotate := func() error {
			_, err := b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: id})
			return err
		}
		rename := func() error {
			_, err := b.updateKey(t.Context(), operator, &adminv1.UpdateKeyRequest{Id: id, Name: proto.String(fmt.Sprint("round ", round))})
			return err
		}
		written := 0
		errs := atOnce(revoke, rotate, rename, revoke, rotate)
		for i, err := range errs {
			switch {
			case err == nil:
				written++
			case i != 0 && i != 3 && errors.Is(err, key.ErrRevoked): // the revocation was first
			default:
				t.Errorf("function %d: %v", i, err)
			}
		}
		r := b.record(id)
		if r.Revoked.IsZero() || b.store.Position().Revision != before+uint64(written)-1 { // one of the two revocations changed nothing
			t.Errorf("revoked %v, %d revisions for %d answers", r.Revoked, b.store.Position().Revision-before, written)
		}
	}
}

// Writers of keys go on while the directory and a policy change.
func TestConcurrentWritesOfAll(t *testing.T) {
	b := start(t)
	var functions []func() error
	for i := range 8 {
		functions = append(functions, func() error {
			for range 10 {
				if _, err := b.create(operator, plainKey); err != nil {
					return err
				}
			}
			return nil
		}, func() error {
			for j := range 10 {
				file := fmt.Sprintf(`{"tenants":[{"id":"org:t%d-%d"}]}`, i, j)
				if _, err := b.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{Directory: directoryOf(t, file)}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	before := b.store.Position().Revision
	for _, err := range atOnce(functions...) {
		if err != nil {
			t.Error(err)
		}
	}
	if have := b.store.Position().Revision - before; have != 160 {
		t.Errorf("%d revisions", have)
	}
}

// meddled is a ledger that somebody else writes to just before each commit.
type meddled struct {
	*storage.DB
	meddle func()
}

func (m *meddled) Commit(ctx context.Context, c storage.Change) (storage.Position, error) {
	if f := m.meddle; f != nil {
		f()
	}
	return m.DB.Commit(ctx, c)
}

// A write that another process overtakes is decided anew.
func TestOvertaken(t *testing.T) {
	b := start(t)
	id := b.make(operator, plainKey).GetId()
	other := &meddled{DB: b.store}
	s := New(Options{Ledger: other, Now: b.clock.Now})
	once := func(f func()) func() {
		return func() {
			other.meddle = nil
			f()
		}
	}
	other.meddle = once(func() {
		if _, err := b.updateKey(t.Context(), operator, &adminv1.UpdateKeyRequest{Id: id, Name: proto.String("theirs")}); err != nil {
			t.Error(err)
		}
	})
	_, err := s.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: id, Grace: durationpb.New(time.Hour)})
	if r := b.record(id); err != nil || r.Name != "theirs" || len(r.Secrets) != 2 {
		t.Errorf("%v: name %q, %d secrets", err, r.Name, len(r.Secrets))
	}
	other.meddle = once(func() { b.people(`{"tenants":[{"id":"org:new"}]}`, false) })
	out, err := s.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{Directory: directoryOf(t, `{"tenants":[{"id":"org:new"}]}`)})
	if err != nil || out.GetUnchanged() != 1 || len(out.GetAdded()) != 0 {
		t.Errorf("%v: %v", err, out)
	}
	other.meddle = once(func() {
		if _, err := b.removePolicy(t.Context(), operator, &adminv1.RemovePolicyRequest{Name: "desk"}); err != nil {
			t.Error(err)
		}
	})
	_, err = s.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{Directory: directoryOf(t, `{"tenants":[{"id":"project:new","parent":"org:new"}]}`)})
	expect(t, err, ErrInvalid, "no policy declares tenants of the kind")
	b.apply(desk)
	other.meddle = once(func() { b.make(operator, publicKey) })
	_, err = s.removePolicy(t.Context(), operator, &adminv1.RemovePolicyRequest{Name: "desk"})
	expect(t, err, ErrUnfit, "1 live key would be stranded")
	other.meddle = once(func() {
		if _, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: id}); err != nil {
			t.Error(err)
		}
	})
	_, err = s.disableKey(t.Context(), operator, &adminv1.DisableKeyRequest{Id: id})
	expect(t, err, key.ErrRevoked)

	// The same token, taken over twice at once: the second is told which one.
	token := minted(t, key.Format{Prefix: "sp_", SecretLength: 30})
	other.meddle = once(func() { b.takeOver(token) })
	imported, err := s.importKeys(t.Context(), operator, &adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{{Key: fields(t, plainKey), Token: token}}})
	if err != nil || len(imported.GetMistakes()) != 1 {
		t.Errorf("%v: %v", err, imported)
	}

	// Somebody who never stops is given way to, in the end.
	n := 0
	id = b.make(operator, plainKey).GetId()
	other.meddle = func() {
		n++
		if _, err := b.updateKey(t.Context(), operator, &adminv1.UpdateKeyRequest{Id: id, Name: proto.String(fmt.Sprint(n))}); err != nil {
			t.Error(err)
		}
	}
	_, err = s.disableKey(t.Context(), operator, &adminv1.DisableKeyRequest{Id: id})
	if !errors.Is(err, key.ErrConflict) || connect.CodeOf(status(err)) != connect.CodeAborted || n != attempts {
		t.Errorf("after %d attempts: %v", n, err)
	}
}
