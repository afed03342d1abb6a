package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/latchkey/latchkey/bench/stock"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// inUse is how many keys, from the first on, clients of the fleet go on using.
const inUse = 20

// store is the data folder of a hub.
type store struct {
	dir  string
	keys int
	next int // key to be revoked
	more int // keys that were added
}

// store makes a store with so many keys, or returns the one that was made.
func (f *fleet) store(ctx context.Context, keys int) (*store, error) {
	if f.stores[keys] != nil {
		return f.stores[keys], nil
	}
	f.say("making a store of %d keys", keys)
	s := &store{dir: filepath.Join(f.dir, fmt.Sprintf("hub-%d", keys)), keys: keys, next: inUse}
	c, err := f.child("fill", f.self, "fill", "-data", s.dir, "-keys", fmt.Sprint(keys))
	if err != nil {
		return nil, err
	}
	if err := c.Wait(ctx); err != nil {
		return nil, err
	}
	f.stores[keys] = s
	return s, nil
}

// victim returns the next key that may be revoked.
func (s *store) victim() (stock.Credential, error) {
	if s.next >= s.keys {
		return stock.Credential{}, fmt.Errorf("all of %d keys are revoked: measure with more of them, or fewer revokes", s.keys)
	}
	s.next++
	return stock.Nth(s.next - 1), nil
}

// newKey is one more key, whose token nobody knows.
func (s *store) newKey() *adminv1.ImportKey {
	s.more++
	sum := sha256.Sum256(fmt.Appendf(nil, "latchkey fleet %d", s.more))
	return &adminv1.ImportKey{TokenSha256: hex.EncodeToString(sum[:]), Key: &adminv1.KeyFields{
		Policy: "kodey", Type: stock.Secret, Tenant: fmt.Sprintf("team:t_%d", s.more%1000), Environment: "live", Name: "bench",
	}}
}

// bytes is how large the hub's file is.
func (s *store) bytes() (int64, error) {
	info, err := os.Stat(filepath.Join(s.dir, "latchkey.db"))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
