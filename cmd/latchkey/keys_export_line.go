package main

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// exportLine is a line of an export: the fields that an import takes.
type exportLine struct {
	ID            string         `json:"id"`
	Policy        string         `json:"policy"`
	Type          string         `json:"type"`
	Environment   string         `json:"environment,omitempty"`
	Tenant        string         `json:"tenant,omitempty"`
	Principal     string         `json:"principal,omitempty"`
	Creator       string         `json:"creator,omitempty"`
	Role          string         `json:"role,omitempty"`
	Scopes        []string       `json:"scopes,omitempty"`
	Name          string         `json:"name,omitempty"`
	Description   string         `json:"description,omitempty"`
	System        bool           `json:"system,omitempty"`
	TokenSHA256   string         `json:"token_sha256"`
	Prefix        string         `json:"prefix,omitempty"`
	Last4         string         `json:"last4,omitempty"`
	CreatedAt     string         `json:"created_at"`
	RotatedAt     string         `json:"rotated_at,omitempty"`
	ExpiresAt     string         `json:"expires_at,omitempty"`
	RevokedAt     string         `json:"revoked_at,omitempty"`
	Disabled      bool           `json:"disabled,omitempty"`
	FormerSecrets []exportSecret `json:"former_secrets,omitempty"`
}

type exportSecret struct {
	TokenSHA256 string `json:"token_sha256"`
	Prefix      string `json:"prefix,omitempty"`
	Last4       string `json:"last4,omitempty"`
	CreatedAt   string `json:"created_at,omitempty"`
	Until       string `json:"until"`
}

func exportLineOf(k *adminv1.ImportKey) *exportLine {
	f := k.GetKey()
	l := &exportLine{
		ID: k.GetId(), Policy: f.GetPolicy(), Type: f.GetType(), Environment: f.GetEnvironment(), Tenant: f.GetTenant(), Principal: f.GetPrincipal(),
		Creator: k.GetCreator(), Role: f.GetRole(), Scopes: f.GetScopes(), Name: f.GetName(), Description: f.GetDescription(), System: f.GetSystem(),
		TokenSHA256: k.GetTokenSha256(), Prefix: k.GetPrefix(), Last4: k.GetLast4(),
		CreatedAt: exact(k.GetCreatedAt()), RotatedAt: exact(k.GetRotatedAt()), ExpiresAt: exact(f.GetExpiresAt()), RevokedAt: exact(k.GetRevokedAt()),
		Disabled: k.GetDisabled(),
	}
	for _, s := range k.GetFormerSecrets() {
		l.FormerSecrets = append(l.FormerSecrets, exportSecret{s.GetTokenSha256(), s.GetPrefix(), s.GetLast4(), exact(s.GetCreatedAt()), exact(s.GetUntil())})
	}
	return l
}

// exact is a time to the nanosecond, so that it is the same when it is read.
func exact(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339Nano)
}
