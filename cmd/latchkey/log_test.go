package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/directory"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// breaking answers so many calls, and no more.
type breaking struct {
	inProcess
	left int
}

func (b *breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.left--; b.left < 0 {
		return nil, errors.New("the hub is gone")
	}
	return b.inProcess.RoundTrip(r)
}

// The log is shown as it comes, in pages, and how far back it goes is said.
func TestLogOfManyWrites(t *testing.T) {
	const page = 10
	const writes, kept = 3*page + 5, 2*page + 7
	db := storagetest.New(t, storage.Options{LogEntries: kept})
	for n := range writes {
		c := storage.Change{Operator: "uid:0", Action: "directory.apply", Note: "a\nb", Principals: []*directory.Principal{{ID: fmt.Sprintf("user:u_%d", n)}}}
		if _, err := db.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	server := admin.New(admin.Options{Ledger: db, Log: slog.New(slog.DiscardHandler)})
	for name, test := range map[string]struct {
		form  string
		limit uint
		asked *adminv1.ListEntriesRequest
		calls int
		shown int
		note  string
		fails bool
	}{
		"all":               {form: "json", calls: 9, shown: kept, note: fmt.Sprintf("goes back to revision %d, of 20", writes-kept+1)},
		"all, for people":   {form: "table", calls: 9, shown: kept, note: fmt.Sprintf("goes back to revision %d, of 20", writes-kept+1)},
		"some":              {form: "json", limit: page + 1, calls: 2, shown: page + 1, note: fmt.Sprintf("--before %d", writes-page)},
		"one that is gone":  {form: "json", asked: &adminv1.ListEntriesRequest{Object: "user:u_1"}, calls: 9, note: "isn't kept any more"},
		"before all of it":  {form: "table", asked: &adminv1.ListEntriesRequest{Before: 3}, calls: 1, note: "isn't kept any more"},
		"broken off":        {form: "json", calls: 1, shown: page, fails: true},
		"broken off, table": {form: "table", calls: 1, shown: page, fails: true},
		"from the start on": {form: "json", calls: 0, shown: -1, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &client{output: &output{form: test.form}}
			c.dial("http://latchkey", &http.Client{Transport: &breaking{inProcess{server.Handler()}, test.calls}})
			var out, notes bytes.Buffer
			cmd := &cobra.Command{}
			cmd.SetContext(t.Context())
			cmd.SetOut(&out)
			cmd.SetErr(&notes)
			q := &adminv1.ListEntriesRequest{}
			proto.Merge(q, test.asked)
			err := (&history{q: q, since: &span{}, page: page, limit: test.limit}).show(cmd, c)
			if test.fails != (err != nil) || !strings.Contains(notes.String(), test.note) || test.note == "" && notes.Len() > 0 {
				t.Errorf("%v, and it says %q, want %q", err, notes.String(), test.note)
			}
			shown := strings.Count(out.String(), "directory.apply")
			if test.shown < 0 {
				if out.Len() > 0 {
					t.Errorf("stdout has %q", out.String())
				}
				return
			}
			if shown != test.shown {
				t.Errorf("%d are shown, want %d", shown, test.shown)
			}
			if test.form == "json" {
				var entries []struct{ Note string }
				if err := json.Unmarshal(out.Bytes(), &entries); err != nil || len(entries) != test.shown || len(entries) > 0 && entries[0].Note != "a\nb" {
					t.Errorf("%d entries: %v", len(entries), err)
				}
				return
			}
			tables := max(1, (test.shown+page-1)/page)
			if lines := strings.Count(out.String(), "\n"); lines != test.shown+tables {
				t.Errorf("%d lines, want %d: a note must not break one", lines, test.shown+tables)
			}
		})
	}
}
