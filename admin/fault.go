package admin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kinds of errors, to be tested with errors.Is. Those of package key say what
// is wrong with a key.
var (
	// ErrInvalid is returned when a request can't be right, whoever makes it.
	ErrInvalid = errors.New("the request is wrong")
	// ErrRefused is returned when the caller may not do this.
	ErrRefused = errors.New("the caller may not do this")
	// ErrAbsent is returned when something that a request names isn't there.
	ErrAbsent = errors.New("there is no such thing")
	// ErrUnfit is returned when what is stored doesn't permit it now.
	ErrUnfit = errors.New("the present state doesn't permit this")
)

// fault is an error of one kind, in words for the caller.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }

func invalid(format string, args ...any) error { return faultf(ErrInvalid, format, args...) }
func refused(format string, args ...any) error { return faultf(ErrRefused, format, args...) }
func absent(format string, args ...any) error  { return faultf(ErrAbsent, format, args...) }
func unfit(format string, args ...any) error   { return faultf(ErrUnfit, format, args...) }

func faultf(kind error, format string, args ...any) error {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// mistakes gathers everything that is wrong, so that nobody has to try again
// for each. The kind of the whole is the gravest of its parts.
type mistakes []error

func (m *mistakes) add(err error) {
	if err != nil {
		*m = append(*m, err)
	}
}

func (m *mistakes) invalid(format string, args ...any) { m.add(invalid(format, args...)) }

// err returns the mistakes as one error, one a line, and nil if there are none.
func (m mistakes) err() error {
	switch len(m) {
	case 0:
		return nil
	case 1:
		return m[0]
	}
	lines := make([]string, len(m))
	for i, err := range m {
		lines[i] = err.Error()
	}
	kind := m[0]
	for _, graver := range []error{ErrInvalid, ErrAbsent, ErrUnfit, ErrRefused} {
		if i := slices.IndexFunc(m, func(err error) bool { return errors.Is(err, graver) }); i >= 0 {
			kind = graver
			break
		}
	}
	return &fault{kind, strings.Join(lines, "\n")}
}
