package admin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// eachAction does all that is a write, once at least, and returns every token that was made or taken over.
func eachAction(t *testing.T, b *bench) (tokens []string) {
	t.Helper()
	ctx := t.Context()
	owner := as("user:owner")
	k := b.make(operator, plainKey)
	shown := b.make(owner, publicKey)
	taken := minted(t, key.Format{Prefix: "sp_", SecretLength: 30})
	b.takeOver(taken)
	rotated, err := b.rotateKey(ctx, operator, &adminv1.RotateKeyRequest{Id: k.GetId(), Grace: durationpb.New(time.Hour)})
	expect(t, err, nil)
	_, err = b.updateKey(ctx, operator, &adminv1.UpdateKeyRequest{Id: k.GetId(), Name: proto.String("ci")})
	expect(t, err, nil)
	_, err = b.disableKey(ctx, operator, &adminv1.DisableKeyRequest{Id: k.GetId()})
	expect(t, err, nil)
	_, err = b.enableKey(ctx, operator, &adminv1.EnableKeyRequest{Id: k.GetId()})
	expect(t, err, nil)
	_, err = b.revokeKey(ctx, owner, &adminv1.RevokeKeyRequest{Id: shown.GetId(), Note: `"leaked" = true`})
	expect(t, err, nil)
	_, err = b.changeKeys(ctx, operator, &adminv1.ChangeKeysRequest{
		Selection: &adminv1.KeySelection{Policy: "sparse"}, Change: &adminv1.ChangeKeysRequest_Revoke{Revoke: &adminv1.RevokeKeyRequest{Note: "all"}},
	})
	expect(t, err, nil)
	_, err = b.removePolicy(ctx, operator, &adminv1.RemovePolicyRequest{Name: "sparse"})
	expect(t, err, nil)
	return []string{k.GetToken(), shown.GetToken(), taken, rotated.GetKey().GetToken()}
}

// linesOf returns the lines of the process's log that tell of writes.
func linesOf(t *testing.T, b *bench) (lines []map[string]any) {
	t.Helper()
	scan := bufio.NewScanner(strings.NewReader(b.logs.String()))
	for scan.Scan() {
		var line map[string]any
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			t.Fatalf("a line of the log is %q: %v", scan.Text(), err)
		}
		if line["msg"] == "written" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Each write has one line in the log of the process, and one entry in that of the store, and both say the same.
func TestEachWriteIsToldOnce(t *testing.T) {
	b := logged(t)
	if _, err := b.ApplyFile(t.Context(), "process:uid:7", "desk.yaml", []byte(desk), false); err != nil {
		t.Fatal(err)
	}
	b.apply(sparse)
	b.people(people, false)
	tokens := eachAction(t, b)
	lines := linesOf(t, b)
	entries := b.entries(&adminv1.ListEntriesRequest{})
	slices.Reverse(entries)
	if len(lines) != len(entries) || len(entries) != int(b.store.Position().Revision) {
		t.Fatalf("%d lines tell of %d revisions, of which the log has %d", len(lines), b.store.Position().Revision, len(entries))
	}
	actions := map[string]bool{}
	for i, e := range entries {
		line := lines[i]
		actions[e.GetAction()] = true
		same := fmt.Sprint(line["epoch"], line["revision"], line["action"], line["operator"], line["acting"], line["note"], line["count"])
		if want := fmt.Sprint(float64(e.GetEpoch()), e.GetRevision(), e.GetAction(), e.GetOperator(), e.GetActing(), e.GetNote(), len(e.GetObjects())); same != want {
			t.Errorf("the line says %s, the entry %s", same, want)
		}
		names, _ := line["objects"].([]any)
		if len(names) != min(len(e.GetObjects()), namesTold) || names[0] != e.GetObjects()[0].GetName() {
			t.Errorf("the line names %v, of %v", names, e.GetObjects())
		}
	}
	for _, action := range ownActions {
		if !actions[action] {
			t.Errorf("nothing was done as %s", action)
		}
		delete(actions, action)
	}
	if len(actions) > 0 {
		t.Errorf("ownActions lacks %v", actions)
	}
	if lines[0]["operator"] != "process:uid:7" || lines[0]["level"] != "INFO" || fmt.Sprint(lines[0]["objects"]) != "[desk]" {
		t.Errorf("a policy of a file is told as %v", lines[0])
	}
	listed := fmt.Sprint(entries)
	for _, token := range tokens {
		if token == "" || strings.Contains(b.logs.String(), token[4:]) || strings.Contains(listed, token[4:]) {
			t.Errorf("a token is told: %q", token)
		}
	}
}

// What was tried, refused or found to be done already isn't told.
func TestWhatIsNotWrittenIsNotTold(t *testing.T) {
	b := logged(t)
	b.apply(desk)
	b.apply(sparse)
	b.people(people, false)
	id := b.make(operator, plainKey).GetId()
	before := len(linesOf(t, b))
	_, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: id, DryRun: true})
	expect(t, err, nil)
	_, err = b.revokeKey(t.Context(), as("user:nobody"), &adminv1.RevokeKeyRequest{Id: id})
	expect(t, err, ErrRefused)
	_, err = b.enableKey(t.Context(), operator, &adminv1.EnableKeyRequest{Id: id})
	expect(t, err, nil)
	b.apply(sparse)
	b.people(people, false)

	// One that is overtaken, and given up in the end: the lines are those of the others.
	other := &meddled{DB: b.store}
	s := New(Options{Ledger: other, Now: b.clock.Now, Log: b.log})
	n := 0
	other.meddle = func() {
		n++
		if _, err := b.updateKey(t.Context(), operator, &adminv1.UpdateKeyRequest{Id: id, Name: proto.String(fmt.Sprint(n))}); err != nil {
			t.Error(err)
		}
	}
	_, err = s.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: id})
	expect(t, err, key.ErrConflict)
	lines := linesOf(t, b)[before:]
	if len(lines) != attempts {
		t.Errorf("%d lines, want one for each of %d writes", len(lines), attempts)
	}
	for _, line := range lines {
		if line["action"] != "keys.update" {
			t.Errorf("told though it isn't written: %v", line)
		}
	}
}

// A write of many objects names some of them in the log of the process, and all in that of the store.
func TestAWriteOfManyIsToldInOneLine(t *testing.T) {
	b := logged(t)
	var c storage.Change
	for n := range 1000 {
		c.Tenants = append(c.Tenants, &directory.Tenant{ID: fmt.Sprintf("org:o_%d", n)})
	}
	c.Operator, c.Action = "uid:0", "directory.apply"
	if _, err := b.ledger.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	lines := linesOf(t, b)
	if len(lines) != 1 || len(lines[0]["objects"].([]any)) != namesTold || lines[0]["count"] != 1000.0 {
		t.Errorf("told as %v", lines)
	}
	if e := b.entries(&adminv1.ListEntriesRequest{Object: "org:o_999"}); len(e) != 1 || len(e[0].GetObjects()) != 1000 {
		t.Errorf("%d entries", len(e))
	}
}

func (b *bench) entries(r *adminv1.ListEntriesRequest) []*adminv1.LogEntry {
	b.t.Helper()
	out, err := b.listEntries(b.t.Context(), operator, r)
	if err != nil {
		b.t.Fatalf("%v: %v", r, err)
	}
	return out.GetEntries()
}

func TestListEntries(t *testing.T) {
	b := start(t) // revisions 1 to 3
	first := b.make(operator, plainKey).GetId()
	b.clock.add(time.Hour)
	second := b.make(as("user:owner"), publicKey).GetId()
	_, err := b.revokeKey(t.Context(), as("user:boss"), &adminv1.RevokeKeyRequest{Id: second, Note: "leaked"})
	expect(t, err, nil)
	_, err = b.disableKey(t.Context(), operator, &adminv1.DisableKeyRequest{Id: first})
	expect(t, err, nil)
	_, err = b.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{
		Directory: directoryOf(t, `{"tenants":[{"id":"org:free","status":"suspended"}],"principals":[{"id":"user:frozen","status":"suspended"},{"id":"user:owner"}]}`),
	})
	expect(t, err, nil)
	_, err = b.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{Directory: directoryOf(t, `{"tenants":[{"id":"org:free"},{"id":"org:paid","plan":"paid"}]}`), Prune: true, Force: true})
	expect(t, err, nil)

	for name, test := range map[string]struct {
		asked *adminv1.ListEntriesRequest
		want  string // revisions
	}{
		"all":                  {&adminv1.ListEntriesRequest{}, "[9 8 7 6 5 4 3 2 1]"},
		"a key":                {&adminv1.ListEntriesRequest{Object: second}, "[6 5]"},
		"a tenant":             {&adminv1.ListEntriesRequest{Object: "org:free"}, "[9 8 3]"},
		"a principal":          {&adminv1.ListEntriesRequest{Object: "user:owner"}, "[9 8 3]"},
		"a policy":             {&adminv1.ListEntriesRequest{Object: "desk"}, "[1]"},
		"one that never was":   {&adminv1.ListEntriesRequest{Object: "org:never"}, "[]"},
		"an action":            {&adminv1.ListEntriesRequest{Action: "keys.revoke"}, "[6]"},
		"a group of actions":   {&adminv1.ListEntriesRequest{Action: "keys"}, "[7 6 5 4]"},
		"an action of a store": {&adminv1.ListEntriesRequest{Action: "db.restore"}, "[]"},
		"a principal's own":    {&adminv1.ListEntriesRequest{Acting: "user:boss"}, "[6]"},
		"lately":               {&adminv1.ListEntriesRequest{Since: durationpb.New(time.Minute)}, "[9 8 7 6 5]"},
		"before":               {&adminv1.ListEntriesRequest{Before: 4}, "[3 2 1]"},
		"all of it":            {&adminv1.ListEntriesRequest{Object: first, Action: "keys", Since: durationpb.New(2 * time.Hour), Before: 7}, "[4]"},
	} {
		// Page by page it is the same.
		for _, size := range []uint32{0, 1, 2} {
			q := proto.CloneOf(test.asked)
			q.PageSize = size
			got := []uint64{}
			for {
				out, err := b.listEntries(t.Context(), operator, q)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if size > 0 && len(out.GetEntries()) > int(size) || out.GetOldestRevision() != 1 || out.GetOldestAt().AsTime().Year() != 2030 {
					t.Errorf("%s: a page is %v", name, out)
				}
				for _, e := range out.GetEntries() {
					got = append(got, e.GetRevision())
				}
				if q.Before = out.GetNextBefore(); q.Before == 0 {
					break
				}
			}
			if fmt.Sprint(got) != test.want {
				t.Errorf("%s, by %d: revisions %v, want %s", name, size, got, test.want)
			}
		}
	}

	all := b.entries(&adminv1.ListEntriesRequest{})
	if e := all[3]; e.GetAction() != "keys.revoke" || e.GetOperator() != "uid:0" || e.GetActing() != "user:boss" || e.GetNote() != "leaked" || e.GetEpoch() == 0 ||
		!e.GetAt().AsTime().Equal(b.clock.Now()) {
		t.Errorf("an entry is %v", e)
	}
	for i, want := range map[int]string{
		0: "principal user:boss removed",
		1: "tenant org:free suspended, principal user:frozen suspended, principal user:owner active",
		2: "key " + first + " disabled",
		3: "key " + second + " revoked",
		4: "key " + second + " active",
		8: "policy desk active",
	} {
		var said []string
		for _, o := range all[i].GetObjects() {
			said = append(said, o.GetKind()+" "+o.GetName()+" "+o.GetStatus())
		}
		if !strings.Contains(strings.Join(said, ", "), want) {
			t.Errorf("the entry %d says %v, want %s", all[i].GetRevision(), said, want)
		}
	}
}

func TestListEntriesRefuses(t *testing.T) {
	b := start(t)
	token := b.make(operator, plainKey).GetToken()
	for name, test := range map[string]struct {
		asked *adminv1.ListEntriesRequest
		kind  error
		words string
	}{
		"a key that never was":  {&adminv1.ListEntriesRequest{Object: "key_00000000000000000000000000000000"}, ErrAbsent, "no key has the id key_0000"},
		"half an id":            {&adminv1.ListEntriesRequest{Object: "key_0000"}, ErrAbsent, "not the id of a key"},
		"a token":               {&adminv1.ListEntriesRequest{Object: token}, ErrInvalid, "give the id of a key"},
		"a name that can't be":  {&adminv1.ListEntriesRequest{Object: "a b"}, ErrInvalid, "give the id of a key"},
		"an action, misspelt":   {&adminv1.ListEntriesRequest{Action: "keys.revok"}, ErrInvalid, `did you mean "keys.revoke"`},
		"the begin of a group":  {&adminv1.ListEntriesRequest{Action: "key"}, ErrInvalid, "no such action"},
		"a page that is large":  {&adminv1.ListEntriesRequest{PageSize: maxPage + 1}, ErrInvalid, "page_size"},
		"since the future":      {&adminv1.ListEntriesRequest{Since: durationpb.New(-time.Hour)}, ErrInvalid, "since"},
		"since nobody can tell": {&adminv1.ListEntriesRequest{Since: &durationpb.Duration{Seconds: 1, Nanos: -1}}, ErrInvalid, "since"},
	} {
		_, err := b.listEntries(t.Context(), operator, test.asked)
		expect(t, err, test.kind, test.words)
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error repeats a token", name)
		}
	}
}

// What the log hasn't any more is said, and a page isn't looked for for ever.
func TestListEntriesOfATrimmedLog(t *testing.T) {
	b := empty(t)
	b.store = storagetest.New(t, storage.Options{LogEntries: 3, Compile: new(Compiler).Compile, Now: b.clock.Now})
	b.Server = New(Options{Ledger: b.store, Now: b.clock.Now, Log: b.log})
	for n := range 6 {
		b.clock.add(time.Minute)
		b.people(fmt.Sprintf(`{"principals":[{"id":"user:u_%d"}]}`, n), false)
	}
	out, err := b.listEntries(t.Context(), operator, &adminv1.ListEntriesRequest{Object: "user:u_0"})
	expect(t, err, nil)
	if len(out.GetEntries()) > 0 || out.GetNextBefore() != 0 || out.GetOldestRevision() != 4 || !out.GetOldestAt().AsTime().Equal(b.clock.Now().Add(-2*time.Minute)) {
		t.Errorf("of a trimmed log: %v", out)
	}
	p := &entriesPage{ctx: t.Context(), asked: &adminv1.ListEntriesRequest{Object: "user:u_3"}, size: 1, seen: logScan - 1, out: &adminv1.ListEntriesResponse{}}
	if _, err := b.store.History(0, p.add); err != nil || p.out.GetNextBefore() != 6 {
		t.Errorf("a page goes on after %v; %v", p.out, err)
	}
}

// A token in a note is refused. One of a policy that isn't in use yet can't be known, and is told by neither log all the same.
func TestATokenInANoteIsNotTold(t *testing.T) {
	for _, token := range []string{minted(t, key.Format{Prefix: "sp_", SecretLength: 30}), "sp_kguNYxnXvFHituylThpXwjdRNnUMLV"} {
		b := logged(t)
		b.apply(desk)
		b.people(people, false)
		_, err := b.revokeKey(t.Context(), as("user:owner"), &adminv1.RevokeKeyRequest{Id: b.make(as("user:owner"), publicKey).GetId(), Note: "it is " + token + ", found"})
		expect(t, err, nil)
		b.apply(sparse)
		lines := linesOf(t, b)
		for which, note := range map[string]string{
			"process": fmt.Sprint(lines[len(lines)-2]["note"]),
			"store":   b.entries(&adminv1.ListEntriesRequest{Action: "keys.revoke"})[0].GetNote(),
		} {
			if note != "it is [redacted], found" {
				t.Errorf("the log of the %s has the note %q", which, note)
			}
		}
	}
}
