package admin

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/latchkey/latchkey/storage"
)

// namesTold is how many of the objects of a write the log names.
const namesTold = 10

// telling is a ledger whose writes are told to the process's log: each once, before whoever asked for it is
// answered, and none that failed. Of one with storage.ErrFailed it isn't known whether it was written: the error is
// told by the store, and what came of it stands in the store's log. What looks like a token is left out of a note: it was
// refused if it is one of a policy in use, and may be one of another.
type telling struct {
	Ledger
	log *slog.Logger
}

// Commit implements Ledger.
func (t telling) Commit(ctx context.Context, c storage.Change) (storage.Position, error) {
	at, err := t.Ledger.Commit(ctx, c)
	if names := namesIn(&c); err == nil && len(names) > 0 { // a change of nothing is no write
		t.log.Info("written", "epoch", at.Epoch, "revision", at.Revision, "action", c.Action, "operator", c.Operator, "acting", c.Acting, "note", World{}.scrubLoose(c.Note),
			"objects", names[:min(len(names), namesTold)], "count", len(names))
	}
	return at, err
}

// namesIn returns the names of the objects of a change.
func namesIn(c *storage.Change) []string {
	var names []string
	for _, k := range c.Keys {
		names = append(names, k.ID)
	}
	for _, t := range c.Tenants {
		names = append(names, t.ID)
	}
	for _, p := range c.Principals {
		names = append(names, p.ID)
	}
	return slices.Concat(names, c.RemoveTenants, c.RemovePrincipals, slices.Sorted(maps.Keys(c.Policies)))
}
