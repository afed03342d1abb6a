package admin

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// all makes a change page by page, and returns what came of all of them.
func (b *bench) all(caller Caller, q *adminv1.ChangeKeysRequest) (sum *adminv1.ChangeKeysResponse, pages int) {
	b.t.Helper()
	sum = &adminv1.ChangeKeysResponse{}
	for {
		pages++
		out, err := b.changeKeys(b.t.Context(), caller, q)
		if err != nil {
			b.t.Fatal(err)
		}
		sum.Keys, sum.Refusals = append(sum.Keys, out.Keys...), append(sum.Refusals, out.Refusals...)
		sum.Changed += out.Changed
		if q.PageToken = out.GetNextPageToken(); q.PageToken == "" {
			return sum, pages
		}
	}
}

func revokeAll(sel *adminv1.KeySelection) *adminv1.ChangeKeysRequest {
	return &adminv1.ChangeKeysRequest{Selection: sel, Change: &adminv1.ChangeKeysRequest_Revoke{Revoke: &adminv1.RevokeKeyRequest{Note: "leaked"}}}
}

func TestChangeKeys(t *testing.T) {
	b := start(t)
	var plain []string
	for range 7 {
		plain = append(plain, b.make(operator, plainKey).GetId())
	}
	slices.Sort(plain)
	kept := b.make(operator, publicKey).GetId()
	system := b.make(operator, `{"policy":"desk","type":"role","environment":"live","tenant":"org:free","name":"ci","system":true}`).GetId()
	before := b.store.Position().Revision

	free := &adminv1.KeySelection{Tenant: "org:free"}
	dry := revokeAll(free)
	dry.DryRun = true
	if out, _ := b.all(operator, dry); out.GetChanged() != 7 || len(out.GetRefusals()) != 1 || b.store.Position().Revision != before {
		t.Fatalf("a dry run: %v", out)
	}
	q := revokeAll(free)
	q.PageSize = 3
	out, pages := b.all(operator, q)
	if out.GetChanged() != 7 || pages != 3 || b.store.Position().Revision != before+3 {
		t.Errorf("%d changed in %d pages and %d revisions", out.GetChanged(), pages, b.store.Position().Revision-before)
	}
	for i, k := range out.GetKeys() {
		if k.GetId() != plain[i] || k.GetStatus() != "revoked" || k.GetRevision() != b.record(k.GetId()).Revision || b.record(k.GetId()).Revoked.IsZero() {
			t.Errorf("key %d: %v", i, k)
		}
	}
	if r := out.GetRefusals(); len(r) != 1 || r[0].GetId() != system || !strings.Contains(r[0].GetMessage(), "--system") {
		t.Errorf("refusals %v", r)
	}
	entries, err := b.store.Log(before, 10)
	written := 0
	for _, e := range entries {
		written += len(e.GetPuts())
		if e.GetNote() != "leaked" || e.GetAction() != "keys.revoke" {
			t.Errorf("recorded as %s, %q", e.GetAction(), e.GetNote())
		}
	}
	if err != nil || written != 7 {
		t.Errorf("%d keys were written (%v)", written, err)
	}
	if b.record(kept).Revoked != (key.Record{}).Revoked {
		t.Error("a key that wasn't selected is revoked")
	}
	// Again: nothing is left to be done, and nothing is written.
	before = b.store.Position().Revision
	if out, _ := b.all(operator, revokeAll(free)); out.GetChanged() != 0 || b.store.Position().Revision != before {
		t.Errorf("again: %v", out)
	}
}

func TestSwitchAndHandOverMany(t *testing.T) {
	b := start(t)
	one, two := b.make(as("user:reader"), chosenKey).GetId(), b.make(as("user:reader"), chosenKey).GetId()
	other := b.make(operator, publicKey).GetId()
	reader := &adminv1.KeySelection{Creator: "user:reader"}
	off := &adminv1.ChangeKeysRequest{Selection: reader, Change: &adminv1.ChangeKeysRequest_Disable{Disable: &adminv1.DisableKeyRequest{}}}
	on := &adminv1.ChangeKeysRequest{Selection: &adminv1.KeySelection{Status: "disabled"}, Change: &adminv1.ChangeKeysRequest_Enable{Enable: &adminv1.EnableKeyRequest{}}}
	if out, _ := b.all(operator, off); out.GetChanged() != 2 || !b.record(one).Disabled || b.record(other).Disabled {
		t.Errorf("disable: %v", out)
	}
	if out, _ := b.all(operator, on); out.GetChanged() != 2 || b.record(two).Disabled {
		t.Errorf("enable: %v", out)
	}
	hand := func(to string) *adminv1.ChangeKeysRequest {
		return &adminv1.ChangeKeysRequest{Selection: reader, Change: &adminv1.ChangeKeysRequest_Update{Update: &adminv1.UpdateKeyRequest{Creator: proto.String(to)}}}
	}
	// user:boss holds doc.read as user:reader does; user:frozen can't answer for anything.
	if out, _ := b.all(operator, hand("user:frozen")); out.GetChanged() != 0 || len(out.GetRefusals()) != 2 {
		t.Errorf("to somebody suspended: %v", out)
	}
	if out, _ := b.all(operator, hand("user:boss")); out.GetChanged() != 2 || b.record(one).Creator != "user:boss" {
		t.Errorf("handed over: %v", out)
	}
}

// Who acts for a principal changes what it may, and is told of no more than it may list.
func TestChangeKeysAsAPrincipal(t *testing.T) {
	b := start(t)
	mine := b.make(as("user:owner"), personalKey).GetId()
	b.make(as("user:boss"), `{"policy":"desk","type":"personal","environment":"live","principal":"user:boss"}`)
	q := revokeAll(&adminv1.KeySelection{Type: "personal"})
	if out, _ := b.all(as("user:owner"), q); out.GetChanged() != 1 || out.GetKeys()[0].GetId() != mine || len(out.GetRefusals()) != 0 {
		t.Errorf("have %v", out)
	}
}

func TestChangeKeysIsRefused(t *testing.T) {
	b := start(t)
	for want, q := range map[string]*adminv1.ChangeKeysRequest{
		"selection: it names nothing": {Change: &adminv1.ChangeKeysRequest_Enable{Enable: &adminv1.EnableKeyRequest{}}},
		"change: it is missing":       {Selection: &adminv1.KeySelection{Policy: "desk"}},
		"many keys can't have one name": {
			Selection: &adminv1.KeySelection{Policy: "desk"},
			Change:    &adminv1.ChangeKeysRequest_Update{Update: &adminv1.UpdateKeyRequest{Name: proto.String("x")}},
		},
		"page_size": {Selection: &adminv1.KeySelection{Policy: "desk"}, PageSize: maxImport + 1, Change: &adminv1.ChangeKeysRequest_Enable{Enable: &adminv1.EnableKeyRequest{}}},
	} {
		_, err := b.changeKeys(t.Context(), operator, q)
		expect(t, err, ErrInvalid, want)
	}
}

// What is found in memory and what is found by reading all keys is the same, page by page.
func TestSelectedInEitherWay(t *testing.T) {
	b := start(t)
	var want []string
	for range 5 {
		want = append(want, b.make(operator, plainKey).GetId())
		b.make(operator, publicKey)
	}
	gone := want[2]
	if _, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: gone}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	l, err := b.look(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sel := range []*adminv1.KeySelection{{Policy: "sparse"}, {Policy: "sparse", Status: "revoked"}, {Status: "revoked"}, {}, nil} {
		var have [2][]string
		for way := range have {
			for after, more := "", true; more; {
				p := &selecting{ctx: t.Context(), n: 2, wanted: func(k *key.Record) bool {
					return selects(sel, k.Facts()) && (sel.GetStatus() == "" || k.Status(l.Now) == key.Status(sel.GetStatus()))
				}}
				if ids, few := b.few(l.World, sel, after); few && way == 0 {
					err = b.readKeys(ids, p.add)
				} else if way == 0 {
					p.found, p.next, err = b.selected(t.Context(), l.World, sel, after, 2, func(*key.Record) bool { return true })
				} else {
					_, err = b.store.Keys(after, p.add)
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range p.found {
					have[way] = append(have[way], k.ID)
				}
				after, more = p.next, p.next != ""
			}
		}
		if !slices.Equal(have[0], have[1]) || sel.GetPolicy() != "" && sel.GetStatus() == "" && !slices.Equal(have[0], want) || sel.GetStatus() != "" && !slices.Equal(have[0], []string{gone}) {
			t.Errorf("%v: in memory %v, read %v", sel, have[0], have[1])
		}
	}
}
