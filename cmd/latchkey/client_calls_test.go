package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// A process that is stopped takes calls and answers none. Who waited is told what may have come of that, and who asked for the
// status isn't kept waiting.
func TestCallsThatNobodyAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	offered := make(chan time.Duration)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.Header.Get("Connect-Timeout-Ms"))
		_, _ = io.Copy(io.Discard, r.Body) // else the server doesn't see that the client leaves
		select {
		case offered <- time.Duration(ms) * time.Millisecond:
			<-r.Context().Done()
		case <-r.Context().Done():
		}
	}))
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	for _, tc := range []struct {
		args    []string
		outcome string
	}{
		{[]string{"status"}, "nothing was changed"},
		{[]string{"keys", "list"}, "nothing was changed"},
		{[]string{"keys", "revoke", "key_00000000000000000000000000000000", "--dry-run"}, "nothing was changed"},
		{[]string{"keys", "revoke", "key_00000000000000000000000000000000"}, "what was asked for may have been done"},
	} {
		// asked makes the call, and returns what is told of it and how long it was to be waited for, or false if it was over
		// before it came.
		asked := func(limit time.Duration, end bool) (told string, left time.Duration, came bool) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			root := newRoot()
			root.SetArgs(append(slices.Clone(tc.args), "--admin", "unix:"+path))
			root.SetOut(&bytes.Buffer{})
			root.SetErr(&bytes.Buffer{})
			failed := make(chan error, 1)
			go func() { failed <- root.ExecuteContext(ctx) }()
			select {
			case left = <-offered:
			case err := <-failed:
				return err.Error(), 0, false
			}
			if end {
				cancel()
			}
			return (<-failed).Error(), left, true
		}
		limit := 200 * time.Millisecond
		told, _, came := asked(limit, false)
		for ; !came && limit < time.Minute; told, _, came = asked(limit, false) {
			limit *= 2 // the machine is busy
		}
		waited, rest, _ := strings.Cut(strings.TrimPrefix(told, "no answer from unix:"+path+" in "), ": ")
		if d, err := time.ParseDuration(waited); !came || err != nil || d > limit || !strings.HasPrefix(rest, tc.outcome) {
			t.Errorf("%v: %s", tc.args, told)
		}
		told, left, came := asked(time.Hour, true)
		if !came || told != "interrupted: "+tc.outcome {
			t.Errorf("%v: %s", tc.args, told)
		}
		if tc.args[0] == "status" && left > 10*time.Second {
			t.Errorf("%v waits for %v", tc.args, left)
		}
	}
}

// Every call of the admin API that may change something can be tried without: by that it is known.
func TestWritesAreKnown(t *testing.T) {
	reads := []string{"List", "Get", "Export", "Diff", "Explain", "Await", "Check", "Backup"}
	services := adminv1.File_latchkey_admin_v1_admin_proto.Services()
	for i := range services.Len() {
		methods := services.Get(i).Methods()
		for j := range methods.Len() {
			m := methods.Get(j)
			read := slices.ContainsFunc(reads, func(verb string) bool { return strings.HasPrefix(string(m.Name()), verb) })
			if can := m.Input().Fields().ByName(protoreflect.Name("dry_run")) != nil; can == read {
				t.Errorf("%s: it is a read: %v; it has dry_run: %v", m.FullName(), read, can)
			}
		}
	}
}
