package admin

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/tally"
)

// codes says what errors are on the wire. The first that fits counts. It is
// the only place that knows.
var codes = []struct {
	err  error
	code connect.Code
}{
	{context.Canceled, connect.CodeCanceled},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
	{ErrInvalid, connect.CodeInvalidArgument},
	{ErrRefused, connect.CodePermissionDenied},
	{ErrAbsent, connect.CodeNotFound},
	{ErrUnfit, connect.CodeFailedPrecondition},
	{key.ErrRevoked, connect.CodeFailedPrecondition},
	{key.ErrExpired, connect.CodeFailedPrecondition},
	{key.ErrStillRetiring, connect.CodeFailedPrecondition},
	{key.ErrDuplicate, connect.CodeAlreadyExists},
	{key.ErrConflict, connect.CodeAborted},
	{storage.ErrTrimmed, connect.CodeOutOfRange},
	{storage.ErrClosed, connect.CodeUnavailable},
	// Of the store's own troubles none is the caller's. They pass, or somebody
	// puts them right, without a restart: it is worth trying again. A file that
	// is damaged doesn't heal, so it stands first: a store may be both.
	{storage.ErrDamaged, connect.CodeDataLoss},
	{storage.ErrFailed, connect.CodeUnavailable},
	{storage.ErrDisk, connect.CodeUnavailable},
	{storage.ErrMoved, connect.CodeUnavailable},
	{tally.ErrClosed, connect.CodeUnavailable},
	{tally.ErrDamaged, connect.CodeUnavailable}, // it is begun anew
}

// kindOf returns what of an error decides how it leaves the process.
func kindOf(err error) error {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.err
		}
	}
	return nil
}

// status returns an error as it leaves the process.
func status(err error) error {
	if err == nil {
		return nil
	}
	var already *connect.Error
	if errors.As(err, &already) {
		return already
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return connect.NewError(c.code, err)
		}
	}
	return connect.NewError(connect.CodeInternal, err)
}
