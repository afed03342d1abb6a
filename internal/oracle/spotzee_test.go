package oracle

import (
	"strings"
	"testing"
)

// TestSpotzeeRoles is the matrix of project keys: for each line, which roles a
// secret key needs. "-" is nobody.
func TestSpotzeeRoles(t *testing.T) {
	w := Fixture()
	for line, roles := range map[string]string{
		"GET /api/client/x":                            "support editor publisher admin",
		"HEAD /api/client/x/y":                         "support editor publisher admin",
		"POST /api/client/x":                           "editor publisher admin",
		"OPTIONS /api/client/x":                        "editor publisher admin",
		"POST /api/client/identify":                    "editor publisher admin",
		"POST /api/client/events":                      "editor publisher admin",
		"POST /api/client/devices":                     "editor publisher admin",
		"GET /api/client/events":                       "support editor publisher admin",
		"GET /api/projects/p_1":                        "support editor publisher admin",
		"GET /api/projects/p_1/x/y":                    "support editor publisher admin",
		"PUT /api/projects/p_1":                        "editor publisher admin",
		"DELETE /api/projects/p_1/users/u":             "editor publisher admin",
		"OPTIONS /api/projects/p_1":                    "editor publisher admin",
		"POST /api/projects/p_1/smtp/send":             "smtpproxy editor publisher admin",
		"GET /api/projects/p_1/smtp/send":              "support editor publisher admin",
		"PUT /api/projects/p_1/smtp/send":              "editor publisher admin",
		"POST /api/projects/p_1/smtp/send/x":           "editor publisher admin",
		"POST /api/projects/p_1/smtp":                  "editor publisher admin",
		"POST /api/projects/p_1/campaigns/c/publish":   "publisher admin",
		"GET /api/projects/p_1/campaigns/c/publish":    "support editor publisher admin",
		"PATCH /api/projects/p_1/campaigns/c/publish":  "editor publisher admin",
		"POST /api/projects/p_1/campaigns/c/publish/x": "editor publisher admin",
		"GET /api/projects/p_1/settings":               "admin",
		"GET /api/projects/p_1/settings/x":             "admin",
		"PUT /api/projects/p_1/settings":               "admin",
		"GET /api/projects/p_1/keys":                   "admin",
		"POST /api/projects/p_1/keys/k":                "admin",
		"GET /api/projects/p_1/keysx":                  "support editor publisher admin",
	} {
		for _, role := range []string{"support", "smtpproxy", "editor", "publisher", "admin"} {
			want := "SCOPE_MISSING"
			if contains(strings.Fields(roles), role) {
				want = "ALLOWED"
			}
			d := expect(t, w, request(w, "spo-sk-"+role, line), want)
			if d.Allow && (d.Identity["x-latchkey-role"] != role || d.Identity["x-latchkey-tenant"] != "project:p_1" || d.Identity["x-latchkey-environment"] != "") {
				t.Errorf("%s %s: identity %v", role, line, d.Identity)
			}
		}
	}
}

func TestSpotzeePublishable(t *testing.T) {
	w := Fixture()
	for _, role := range []string{"support", "smtpproxy", "editor", "publisher", "admin"} {
		want := "ALLOWED"
		if role == "support" || role == "smtpproxy" {
			want = "SCOPE_MISSING"
		}
		for _, path := range []string{"identify", "events", "devices"} {
			expect(t, w, request(w, "spo-pk-"+role, "POST /api/client/"+path), want)
			expect(t, w, request(w, "spo-pk-"+role, "GET /api/client/"+path), "KEY_TYPE_NOT_ALLOWED")
			expect(t, w, request(w, "spo-pk-"+role, "POST /api/client/"+path+"/x"), "KEY_TYPE_NOT_ALLOWED")
		}
		for _, line := range []string{"GET /api/projects/p_1", "POST /api/projects/p_1/smtp/send", "GET /api/admin/x", "GET /api/projects/p_1/settings", "DELETE /api/admin/projects/p_1"} {
			expect(t, w, request(w, "spo-pk-"+role, line), "KEY_TYPE_NOT_ALLOWED")
		}
	}
}

func TestSpotzeeOrganisation(t *testing.T) {
	w := Fixture()
	for line, roles := range map[string]string{
		"GET /api/admin/x":                   "member admin owner",
		"HEAD /api/admin/x/y":                "member admin owner",
		"GET /api/admin/projects":            "member admin owner",
		"GET /api/admin/projects/p_1":        "member admin owner",
		"GET /api/admin/projects/p_2/x":      "member admin owner",
		"POST /api/admin/x":                  "admin owner",
		"OPTIONS /api/admin/x":               "admin owner",
		"DELETE /api/admin/projects":         "admin owner",
		"PUT /api/admin/projects/p_1":        "admin owner",
		"DELETE /api/admin/projects/p_1/x":   "admin owner",
		"DELETE /api/admin/projects/p_1":     "owner",
		"GET /api/admin/billing":             "owner",
		"GET /api/admin/billing/invoices/1":  "owner",
		"POST /api/admin/billing":            "owner",
		"GET /api/admin/billings":            "member admin owner",
		"GET /api/admin/projects/p_1/access": "member admin owner",
	} {
		for _, role := range []string{"member", "admin", "owner"} {
			want := "SCOPE_MISSING"
			if contains(strings.Fields(roles), role) {
				want = "ALLOWED"
			}
			expect(t, w, request(w, "spo-ok-"+role, line), want)
		}
		for key, ceiling := range map[string]string{ // an owner's key under its creator's role
			"by-admin": "admin", "by-member": "member", "by-left": "-", "by-barred": "-", "by-gone": "-", "by-operator": "owner",
		} {
			want := "SCOPE_MISSING"
			if contains(strings.Fields(roles), ceiling) {
				want = "ALLOWED"
			}
			d := expect(t, w, request(w, "spo-ok-owner-"+key, line), want)
			if d.Allow && d.Identity["x-latchkey-role"] != "owner" {
				t.Errorf("role %q: the key carries owner", d.Identity["x-latchkey-role"])
			}
		}
		for _, key := range []string{"spo-sk-admin", "spo-pk-admin"} {
			expect(t, w, request(w, key, line), "KEY_TYPE_NOT_ALLOWED")
		}
	}
	expect(t, w, request(w, "spo-ok-member-by-admin", "POST /api/admin/x"), "SCOPE_MISSING")
	expect(t, w, request(w, "spo-ok-owner", "GET /api/client/x"), "KEY_TYPE_NOT_ALLOWED")
	expect(t, w, request(w, "spo-ok-owner", "POST /api/client/events"), "KEY_TYPE_NOT_ALLOWED")
	expect(t, w, request(w, "spo-ok-owner", "GET /api/projects/p_1"), "KEY_TYPE_NOT_ALLOWED")
}

func TestSpotzeeTenancy(t *testing.T) {
	table(t, "spo-sk-admin", `
		GET /api/projects/p_2 TENANT_MISMATCH
		GET /api/projects/p_3/x TENANT_MISMATCH
		GET /api/projects/nope TENANT_MISMATCH
		GET /api/projects/so_1 TENANT_MISMATCH
		GET /api/projects/project:p_1 TENANT_MISMATCH`)
	table(t, "spo-sk-support", `
		POST /api/projects/p_2 SCOPE_MISSING`)
	table(t, "spo-ok-owner", `
		GET /api/admin/projects/p_3 TENANT_MISMATCH
		GET /api/admin/projects/p_susp TENANT_MISMATCH
		GET /api/admin/projects/p_orphan TENANT_MISMATCH
		GET /api/admin/projects/so_1 TENANT_MISMATCH
		DELETE /api/admin/projects/p_3 TENANT_MISMATCH`)
	w := Fixture()
	for line, tenant := range map[string]string{
		"GET /api/admin/x": "organisation:so_1", "GET /api/admin/projects": "organisation:so_1", "GET /api/admin/projects/p_2": "project:p_2",
	} {
		if d := expect(t, w, request(w, "spo-ok-owner", line), "ALLOWED"); d.Identity["x-latchkey-tenant"] != tenant {
			t.Errorf("%s: tenant %v, want %s", line, d.Identity, tenant)
		}
	}
	for _, key := range []string{"spo-sk-suspended", "spo-pk-suspended", "spo-sk-parent-suspended", "spo-ok-suspended"} {
		expect(t, w, request(w, key, "GET /nowhere"), "TENANT_SUSPENDED")
	}
}

func TestSpotzeeNothingElseExists(t *testing.T) {
	table(t, "spo-sk-admin", `
		GET /api ENDPOINT_UNKNOWN
		GET /api/client ENDPOINT_UNKNOWN
		GET /api/client/ ENDPOINT_UNKNOWN
		GET /api/projects ENDPOINT_UNKNOWN
		GET /api/projects/ ENDPOINT_UNKNOWN
		GET /api/admin ENDPOINT_UNKNOWN
		GET /api/Client/x ENDPOINT_UNKNOWN
		GET /client/x ENDPOINT_UNKNOWN
		TRACE /api/client/x ENDPOINT_UNKNOWN`)
	w := Fixture()
	r := request(w, "spo-sk-admin", "GET /api/client/x")
	r.Extensions = map[string]string{"latchkey.environment": "live"}
	expect(t, w, r, "ENVIRONMENT_MISMATCH")
}
