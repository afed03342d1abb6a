package replica

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage/tally"
)

// A replica reports under the identity of its connection, once it has said Hello, and one report at a time; what the
// hub makes of a report is told so that the replica knows whether to send it again.
func TestWhoMayReportUsage(t *testing.T) {
	h := hubWith(t, 1)
	to := h.target(t)
	identity := "pods"
	h.identify = func(context.Context) (string, bool) { return identity, identity != "" }
	if _, _, err := greet(t, to, helloOf(1, h.db.Position(), time.Hour)); err != nil {
		t.Fatal(err)
	}
	id := helloOf(1, h.db.Position(), time.Hour).GetId()
	report := func(id string) error {
		_, err := replicav1.NewReplicaServiceClient(to.Connection).ReportUsage(t.Context(), &replicav1.ReportUsageRequest{Id: id, Batch: &replicav1.UsageBatch{Number: 7}})
		return err
	}
	expect := func(what string, err error, want codes.Code) {
		t.Helper()
		if status.Code(err) != want || RefusedUsage(err) != (want == codes.InvalidArgument) {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
	}
	h.usage = nil
	expect("a hub that takes none", report(id), codes.Unimplemented)

	var taken []tally.Report
	answer := error(nil)
	h.usage = func(_ context.Context, r tally.Report) error {
		taken = append(taken, r)
		return answer
	}
	expect("a replica", report(id), codes.OK)
	if len(taken) != 1 || taken[0].Identity != "pods" || taken[0].ID != id || taken[0].Name != "pod-1" || taken[0].Batch.GetNumber() != 7 {
		t.Errorf("taken: %+v", taken)
	}
	expect("one that never followed", report(fmt.Sprintf("%032x", 2)), codes.FailedPrecondition)
	identity = "others"
	expect("another's", report(id), codes.FailedPrecondition)
	identity = ""
	expect("a stranger", report(id), codes.PermissionDenied)
	identity = "pods"
	if len(taken) != 1 {
		t.Errorf("%d reports were taken", len(taken))
	}
	for _, c := range []struct {
		err  error
		want codes.Code
	}{
		{fmt.Errorf("%w: no number", tally.ErrInvalid), codes.InvalidArgument},
		{tally.ErrSenders, codes.ResourceExhausted},
		{tally.ErrClosed, codes.Unavailable},
		{errors.New("the disk is full"), codes.Unavailable},
	} {
		answer = c.err
		expect(c.err.Error(), report(id), c.want)
	}

	began, end := make(chan struct{}), make(chan struct{})
	h.usage = func(context.Context, tally.Report) error { close(began); <-end; return nil }
	first := make(chan error, 1)
	go func() { first <- report(id) }()
	<-began
	expect("a second one at the same time", report(id), codes.Aborted)
	close(end)
	expect("the first", <-first, codes.OK)
}
