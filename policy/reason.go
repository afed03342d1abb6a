package policy

import "net/http"

// Reason is the outcome of a decision. Its name is stable: it is the log
// line, the metric label, the dynamic metadata and what explain says.
type Reason uint8

// The reasons, in the order in which they are answered: who is this comes
// before what may they do, so that a stranger learns nothing about endpoints.
// The zero Reason is no outcome and is answered as an outage.
const (
	Undecided Reason = iota
	HostUnknown
	Public
	Preflight
	ReplicaStale
	NotReady
	KeyMissing
	KeyAmbiguous
	KeyMalformed
	KeyUnknown
	KeyRevoked
	KeyExpired
	KeyDisabled
	PrincipalGone
	TenantSuspended
	PathAmbiguous
	EndpointUnknown
	EnvironmentMismatch
	KeyTypeNotAllowed
	ScopeMissing
	PermissionMissing
	TenantMismatch
	Allowed
	reasonCount
)

// unauthenticated is the one thing a client is told by every 401, so that it
// can't tell an unknown key from a revoked one.
const unauthenticated = "The API key is missing or not valid."

// outcomes is the one table of what a reason is called, which status answers
// it, and what the client is told. Status 200 stands for allow.
var outcomes = [reasonCount]struct {
	name    string
	status  int
	message string
}{
	Undecided:           {"UNDECIDED", 503, "The request could not be decided."},
	HostUnknown:         {"HOST_UNKNOWN", 403, "This host is not served."},
	Public:              {"PUBLIC", 200, "The endpoint is public."},
	Preflight:           {"PREFLIGHT", 200, "The preflight is answered by the API."},
	ReplicaStale:        {"REPLICA_STALE", 503, "API keys cannot be checked right now."},
	NotReady:            {"NOT_READY", 503, "API keys cannot be checked right now."},
	KeyMissing:          {"KEY_MISSING", 401, unauthenticated},
	KeyAmbiguous:        {"KEY_AMBIGUOUS", 401, unauthenticated},
	KeyMalformed:        {"KEY_MALFORMED", 401, unauthenticated},
	KeyUnknown:          {"KEY_UNKNOWN", 401, unauthenticated},
	KeyRevoked:          {"KEY_REVOKED", 401, unauthenticated},
	KeyExpired:          {"KEY_EXPIRED", 401, unauthenticated},
	KeyDisabled:         {"KEY_DISABLED", 401, unauthenticated},
	PrincipalGone:       {"PRINCIPAL_GONE", 401, unauthenticated},
	TenantSuspended:     {"TENANT_SUSPENDED", 403, "The account that owns this key is suspended."},
	PathAmbiguous:       {"PATH_AMBIGUOUS", 403, "The path holds characters or segments that are not accepted."},
	EndpointUnknown:     {"ENDPOINT_UNKNOWN", 403, "This key opens no such endpoint."},
	EnvironmentMismatch: {"ENVIRONMENT_MISMATCH", 403, "The key belongs to another environment."},
	KeyTypeNotAllowed:   {"KEY_TYPE_NOT_ALLOWED", 403, "Keys of this type cannot open this endpoint."},
	ScopeMissing:        {"SCOPE_MISSING", 403, "The key lacks a scope that this endpoint requires."},
	PermissionMissing:   {"PERMISSION_MISSING", 403, "The key's creator lacks a permission that this endpoint requires."},
	TenantMismatch:      {"TENANT_MISMATCH", 403, "The key does not reach the tenant of this request."},
	Allowed:             {"ALLOWED", 200, "The key opens this endpoint."},
}

// String returns the reason's stable name.
func (r Reason) String() string { return outcomes[r.index()].name }

// Status returns the HTTP status that answers it; 200 stands for allow.
func (r Reason) Status() int { return outcomes[r.index()].status }

// Message returns the sentence that a client is told.
func (r Reason) Message() string { return outcomes[r.index()].message }

// Allows reports whether the request may pass.
func (r Reason) Allows() bool { return r.Status() == http.StatusOK }

func (r Reason) index() Reason {
	if r >= reasonCount {
		return Undecided
	}
	return r
}

// Reasons returns every reason that a decision can have, in order.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonCount-1)
	for r := HostUnknown; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}
