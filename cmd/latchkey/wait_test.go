package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// Who revokes in an incident is told on stderr, where scripts don't read, who may still let the key in.
func TestMissingReplicasAreNoted(t *testing.T) {
	missing := func(n int) (all []*adminv1.Replica) {
		for i := range n {
			all = append(all, &adminv1.Replica{Id: fmt.Sprintf("%032x", i), Name: fmt.Sprintf("pod-%d", i)})
		}
		return all
	}
	nameless := missing(1)
	nameless[0].Name = ""
	ends := timestamppb.New(time.Date(2030, 1, 31, 12, 0, 0, 1, time.UTC))
	at := &adminv1.Position{Epoch: 7, Revision: 9}
	for _, tc := range []struct {
		name    string
		receipt *adminv1.Receipt
		want    []string // none: nothing is said
	}{
		{"all know", &adminv1.Receipt{Complete: true, Replicas: 3}, nil},
		{"one is missing", &adminv1.Receipt{Position: at, Replicas: 3, Missing: missing(1), LeasesEnd: ends}, []string{
			"WARNING: it is done, and not every replica knows it yet: 1 of 3 may answer as before, until 2030-01-31T12:00:01Z at the latest: pod-0.\n",
			"`latchkey replicas await --epoch 7 --revision 9`", "replicas forget ID --gone",
		}},
		{"many, without end", &adminv1.Receipt{Position: at, Replicas: 13, Missing: missing(12)}, []string{"12 of 13 may answer as before, without end: a lease of theirs has none: pod-0, ", ", pod-9, and 2 more.\n"}},
		{"one without a name", &adminv1.Receipt{Position: at, Replicas: 1, Missing: nameless}, []string{": 00000000000000000000000000000000.\n"}},
		{"a roster that was damaged", &adminv1.Receipt{Uncertain: true}, []string{"WARNING: it is done, and it isn't known whether every replica knows it: the hub's roster of replicas was damaged", "remove the damaged roster"}},
		{"a roster that was damaged, and one is missing", &adminv1.Receipt{Position: at, Replicas: 1, Uncertain: true, Missing: []*adminv1.Replica{{Name: "pod-7", LeaseEnds: ends}}}, []string{
			"it isn't known whether every replica knows it", "1 of 1 may answer as before, until 2030-01-31T12:00:01Z at the latest: pod-7.\n",
		}},
	} {
		var out bytes.Buffer
		cmd := &cobra.Command{}
		cmd.SetErr(&out)
		noteMissing(cmd, tc.receipt)
		if tc.want == nil && out.Len() > 0 {
			t.Errorf("%s: %s", tc.name, out.String())
		}
		for _, want := range tc.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: want %q in %s", tc.name, want, out.String())
			}
		}
	}
}
