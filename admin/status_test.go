package admin

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
)

func TestCodes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code connect.Code
	}{
		{invalid("x"), connect.CodeInvalidArgument},
		{refused("x"), connect.CodePermissionDenied},
		{absent("x"), connect.CodeNotFound},
		{unfit("x"), connect.CodeFailedPrecondition},
		{key.ErrConflict, connect.CodeAborted},
		{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
		{storage.ErrClosed, connect.CodeUnavailable},
		{storage.ErrFailed, connect.CodeUnavailable},
		{storage.ErrDisk, connect.CodeUnavailable},
		{storage.ErrMoved, connect.CodeUnavailable},
		{storage.ErrTrimmed, connect.CodeOutOfRange},
		{&storage.DamageError{Reason: "page", Problems: []error{errors.New("page 3")}}, connect.CodeDataLoss},
		{errors.Join(storage.ErrMoved, &storage.DamageError{Reason: "truncated"}), connect.CodeDataLoss},
		{connect.NewError(connect.CodeResourceExhausted, errors.New("x")), connect.CodeResourceExhausted},
		{errors.New("anything else"), connect.CodeInternal},
	} {
		err := Status(fmt.Errorf("writing: %w", tc.err))
		if got := connect.CodeOf(err); got != tc.code {
			t.Errorf("%v leaves as %v, want %v", tc.err, got, tc.code)
		}
	}
	if err := Status(nil); err != nil {
		t.Errorf("nil leaves as %v", err)
	}
}

func TestOperator(t *testing.T) {
	if got := Operator(WithOperator(t.Context(), "uid:7")); got != "uid:7" {
		t.Errorf("the operator is %q", got)
	}
	if got := Operator(t.Context()); got != "" {
		t.Errorf("nobody is %q", got)
	}
}
