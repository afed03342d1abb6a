package main

import (
	"bytes"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/latchkey/latchkey/storage"
)

func TestRestoreTells(t *testing.T) {
	at := func(epoch, revision uint64) storage.Position {
		return storage.Position{Epoch: epoch, Revision: revision}
	}
	withdrawn := []storage.Withdrawn{
		{Kind: "key", Name: "key_1", What: "disabled"},
		{Kind: "key", Name: "key_2", What: "revoked at 2030-01-31T12:00:00Z"},
		{Kind: "tenant", Name: "team:t_1", What: "suspended"},
	}
	for name, tc := range map[string]struct {
		restored *storage.Restored
		tells    []string
		not      string
	}{
		"writes were made since": {
			&storage.Restored{Backup: at(1, 4), Known: at(1, 9), At: at(2, 5), Replaced: "former.db", Withdrawn: withdrawn},
			[]string{
				"revisions given up  5\n", "former file         former.db", "keys kept revoked   1", "other withdrawals   2",
				"  key key_2         revoked at 2030-01-31T12:00:00Z\n  key key_1         disabled\n  tenant team:t_1   suspended\n",
			},
			"WARNING",
		},
		"none were made": {
			&storage.Restored{Backup: at(1, 4), Known: at(1, 4), At: at(2, 5)},
			[]string{"revisions given up  0\n", "former file         -", "keys kept revoked   0"},
			"WARNING",
		},
		"the backup is the newest that is known": {
			&storage.Restored{Backup: at(1, 9), Known: at(1, 4), At: at(2, 10), Unknown: true},
			[]string{"revisions given up  not known\n", "nothing is known of what was revoked since", "put latchkey.watermark", "revoke those keys again"},
			"keys kept revoked",
		},
		"the watermark begins later": {
			&storage.Restored{Backup: at(1, 4), Known: at(1, 9), At: at(2, 5), Unknown: true},
			[]string{"revisions given up  5\n", "the watermark doesn't reach back", "keys kept revoked   0"},
			"nothing is known",
		},
		"there was a restore in between": {
			&storage.Restored{Backup: at(1, 9), Known: at(2, 12), At: at(3, 10)},
			[]string{"of another epoch", "now                 revision 10 of epoch 3"},
			"revisions given up  0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := shownRestore("latchkey.db", tc.restored)
			var out bytes.Buffer
			if err := printTable(&out, func(w *tabwriter.Writer) { restoreTable(w, m) }); err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.tells {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it doesn't say %q:\n%s", want, out.String())
				}
			}
			if strings.Contains(out.String(), tc.not) {
				t.Errorf("it says %q:\n%s", tc.not, out.String())
			}
		})
	}
}
