package main

import (
	"strings"
	"testing"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// A receipt must not be complete for a write that replicas can't have yet.
func TestWritten(t *testing.T) {
	at := storage.Position{Epoch: 7, Revision: 20, Digest: storage.Digest{1}}
	older := func(revision uint64) storage.Position { return storage.Position{Epoch: 7, Revision: revision} }
	for name, tc := range map[string]struct {
		asked *adminv1.Position
		want  storage.Position
		wrong string
	}{
		"none":                             {nil, at, ""},
		"an empty one":                     {&adminv1.Position{}, at, ""},
		"a revision":                       {&adminv1.Position{Revision: 5}, older(5), ""},
		"the newest revision":              {&adminv1.Position{Revision: 20}, at, ""},
		"a revision to come":               {&adminv1.Position{Revision: 21}, at, "revision 21 isn't written: the store is at revision 20 of epoch 7 "},
		"of the present epoch":             {&adminv1.Position{Epoch: 7, Revision: 5}, older(5), ""},
		"the present one":                  {&adminv1.Position{Epoch: 7, Revision: 20}, at, ""},
		"of the present epoch and to come": {&adminv1.Position{Epoch: 7, Revision: 21}, at, "the store is at revision 20 of epoch 7 "},
		"of a former epoch":                {&adminv1.Position{Epoch: 6, Revision: 5}, older(0), ""},
		"of a former epoch, and greater":   {&adminv1.Position{Epoch: 6, Revision: 99}, older(0), ""},
		"of a later epoch":                 {&adminv1.Position{Epoch: 8, Revision: 1}, at, "epoch 8 isn't begun: the store is at revision 20 of epoch 7 "},
		"of a later epoch alone":           {&adminv1.Position{Epoch: 8}, at, "epoch 8 isn't begun"},
	} {
		got, err := written(at, tc.asked)
		if (err != nil) != (tc.wrong != "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
