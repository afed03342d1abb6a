package stock

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
)

// inOneGo is how many keys a write of the filling takes.
const inOneGo = 20_000

// RunFill is the command that makes a store. It is a process of its own, so that the
// generator isn't left with the memory that a million keys take.
func RunFill(ctx context.Context, args []string, _, stderr io.Writer) (err error) {
	f := flag.NewFlagSet("fill", flag.ContinueOnError)
	f.SetOutput(stderr)
	dir := f.String("data", "", "folder of the store, which it makes")
	keys := f.Int("keys", 0, "number of keys")
	if err := f.Parse(args); err != nil {
		return err
	}
	db, err := storage.Open(*dir, storage.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.Commit(ctx, storage.Change{Operator: "bench", Action: "bench.fill", Tenants: tenants(), Principals: principals()})
	if err != nil {
		return err
	}

	// The file is written fastest, and is smallest, in the order of the ids.
	order := make([]Credential, *keys)
	for n := range order {
		order[n] = Nth(n)
	}
	slices.SortFunc(order, func(a, b Credential) int { return strings.Compare(a.ID, b.ID) })
	now := time.Now()
	for some := range slices.Chunk(order, inOneGo) {
		records := make([]*key.Record, len(some))
		for i, c := range some {
			records[i] = key.Issue(c.record(), c.secret(), now)
			records[i].ID = c.ID
		}
		if _, err := db.Commit(ctx, storage.Change{Operator: "bench", Action: "bench.fill", Keys: records}); err != nil {
			return fmt.Errorf("filling the store: %w", err)
		}
	}
	return nil
}
