package corpus

import (
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey/latchkey/internal/oracle"
)

// The verdicts of a case that went as it should.
const (
	Allowed   = "allowed"
	Denied401 = "denied401"
	Denied403 = "denied403"
	Envoy     = "envoy" // Envoy answered by itself, as it was to
)

// Verdicts are all verdicts that are no error.
var Verdicts = []string{Allowed, Denied401, Denied403, Envoy}

// What can be wrong with a case; Judge wraps one of them.
var (
	// ErrWrongAllow: the upstream received what the oracle denies, or the
	// credential, or identity headers other than the oracle's.
	ErrWrongAllow = errors.New("WRONG ALLOW")
	// ErrWrongDenial: the oracle allows, the client was refused.
	ErrWrongDenial = errors.New("WRONG DENIAL")
	// ErrWrongStatus: refused rightly, with the wrong status.
	ErrWrongStatus = errors.New("WRONG STATUS")
	// ErrUnexpected: neither Envoy nor the check can have answered so.
	ErrUnexpected = errors.New("UNEXPECTED")
)

// Judge says whether what happened to a case was right. With an error the
// verdict is empty.
func Judge(w *oracle.World, p Profile, c Case, got Seen) (verdict string, err error) {
	expected := model(p, c)
	if got.Reached {
		return judgeReached(w, p, c, got, expected)
	}
	if len(got.Also) > 0 {
		return "", fmt.Errorf("%w: further requests without a first", ErrUnexpected)
	}
	if slices.Contains(expected.own, got.Status) {
		return Envoy, nil
	}
	if expected.pass == nil {
		return "", fmt.Errorf("%w: status %d, but Envoy answers this by itself with one of %v", ErrUnexpected, got.Status, expected.own)
	}
	d := w.Decide(*expected.pass)
	status, ok := statusOf(c, got)
	switch {
	case !ok:
		return "", fmt.Errorf("%w: status %d, grpc-status %q, and nothing reached the upstream; the oracle says %s", ErrUnexpected, got.Status, got.GRPCStatus, d.Reason)
	case d.Allow:
		return "", fmt.Errorf("%w: %d, but the oracle allows", ErrWrongDenial, status)
	case status != d.Status:
		return "", fmt.Errorf("%w: %d, but the oracle says %d %s", ErrWrongStatus, status, d.Status, d.Reason)
	case status == 401:
		return Denied401, nil
	}
	return Denied403, nil
}

// statusOf is the status of a refusal: of HTTP, or for a gRPC client the one
// that its grpc-status stands for.
func statusOf(c Case, got Seen) (status int, ok bool) {
	status = got.Status
	if status == 200 && isGRPC(c) {
		status = map[string]int{"16": 401, "7": 403, "14": 503}[got.GRPCStatus]
	}
	return status, status == 401 || status == 403 || status == 503
}

// judgeReached judges a case that the upstream saw.
func judgeReached(w *oracle.World, p Profile, c Case, got Seen, expected outcome) (string, error) {
	if expected.pass == nil {
		return "", fmt.Errorf("%w: the upstream received %s %s, but Envoy answers this by itself", ErrWrongAllow, got.Upstream.Method, got.Upstream.Path)
	}
	for i, up := range append([]Upstream{got.Upstream}, got.Also...) {
		if i > 0 && !c.pipeline {
			return "", fmt.Errorf("%w: one request was sent, and the upstream also received %s %s", ErrWrongAllow, up.Method, up.Path)
		}
		if d := w.Decide(arrived(p, c, up, *expected.pass)); !d.Allow {
			return "", fmt.Errorf("%w: the upstream received %s %q on %q, which is %s", ErrWrongAllow, up.Method, up.Path, up.Host, d.Reason)
		}
	}
	d := w.Decide(*expected.pass)
	if !d.Allow {
		return "", fmt.Errorf("%w: what the client sent is %s", ErrWrongAllow, d.Reason)
	}
	if err := identity(p, c, got.Upstream, d); err != nil {
		return "", fmt.Errorf("%w: %w", ErrWrongAllow, err)
	}
	if path := sentPath(*expected.pass); got.Upstream.Path != path {
		return "", fmt.Errorf("%w: the upstream received the path %q, Envoy was to send %q", ErrUnexpected, got.Upstream.Path, path)
	}
	if got.Status != 200 && got.Status != 101 {
		return "", fmt.Errorf("%w: the upstream was reached and the client got %d", ErrUnexpected, got.Status)
	}
	return Allowed, nil
}

// arrived is what the upstream received as a question to the oracle, with the
// credential of the case.
func arrived(p Profile, c Case, up Upstream, asked oracle.Request) oracle.Request {
	r := oracle.Request{Method: up.Method, Host: up.Host, Path: oneByte(up.Path)}
	if p == Hardened {
		r.RawPath = &up.Path
	}
	for _, h := range asked.Headers {
		if h.Name == "authorization" {
			r.Headers = append(r.Headers, h)
		}
	}
	for _, h := range up.Headers {
		if h.Name == "x-team-id" || h.Name == "x-organization-id" {
			r.Headers = append(r.Headers, h)
		}
	}
	return r
}

func sentPath(r oracle.Request) string {
	if r.RawPath != nil {
		return *r.RawPath
	}
	return r.Path
}

func isGRPC(c Case) bool {
	for _, h := range c.sent.headers {
		if h.Name == "content-type" && (h.Value == "application/grpc" || len(h.Value) > 17 && h.Value[:17] == "application/grpc+") {
			return true
		}
	}
	return false
}
