package corpus

import "github.com/latchkey/latchkey/internal/oracle"

// tenants are requests that name a tenant, their own or another.
func tenants(b *builder) {
	team := []string{"t_1", "t_2", "t_3", "t_susp", "nope", "team:t_1", "T_1", "t_1 ", " t_1", "t_1,t_1", "t_1,t_2", "t_2,t_1", "t_1;t_2", "", "*", "t_1\xff", "%74_1", "../t_1", "null", "t_1/", "t%5f1", "org:o_1"}
	for _, v := range []struct{ key, line string }{
		{"kodey-pk", "GET /v1/chat"}, {"kodey-sk", "GET /v1/agents"}, {"kodey-usk-one", "GET /v1/members"}, {"kodey-usk-many", "GET /v1/members"}, {"kodey-usk-half", "GET /v1/chat"}, {"kodey-usk-none", "POST /v1/teams"},
	} {
		for _, value := range team {
			b.h1(v.key+" x-team-id "+hexText(value), request{line: v.line, key: v.key, headers: header("X-Team-Id", value)})
		}
		b.h2(v.key+" x-team-id with a space", request{line: v.line, key: v.key, headers: header("x-team-id", " t_1")})
		b.both(v.key+" own twice", request{line: v.line, key: v.key, headers: []oracle.Header{{Name: "x-team-id", Value: "t_1"}, {Name: "x-team-id", Value: "t_1"}}})
		b.both(v.key+" own and other", request{line: v.line, key: v.key, headers: []oracle.Header{{Name: "x-team-id", Value: "t_1"}, {Name: "x-team-id", Value: "t_2"}}})
		b.both(v.key+" other and own", request{line: v.line, key: v.key, headers: []oracle.Header{{Name: "x-team-id", Value: "t_2"}, {Name: "x-team-id", Value: "t_1"}}})
		b.h1(v.key+" empty and own", request{line: v.line, key: v.key, headers: []oracle.Header{{Name: "x-team-id", Value: ""}, {Name: "x-team-id", Value: "t_1"}}})
		b.h1(v.key+" capitals", request{line: v.line, key: v.key, headers: []oracle.Header{{Name: "X-TEAM-ID", Value: "t_2"}}})
		b.h1(v.key+" underscores", request{line: v.line, key: v.key, headers: []oracle.Header{{Name: "x_team_id", Value: "t_2"}}})
		b.h1(v.key+" dropped by Connection", request{line: v.line, key: v.key, headers: []oracle.Header{{Name: "Connection", Value: "x-team-id"}, {Name: "X-Team-Id", Value: "t_2"}}})
		b.h1(v.key+" header of another system", request{line: v.line, key: v.key, headers: header("X-Organization-Id", "k_2")})
		for _, id := range []string{"t_1", "t_2", "t_3", "t_susp", "nope", "team:t_1", "T_1", "t_1,t_2", "t_1:t_2"} {
			b.h1(v.key+" /v1/teams/"+id, request{line: "PATCH /v1/teams/" + id, key: v.key})
			b.h1(v.key+" /v1/teams/"+id+" with x-team-id t_1", request{line: "GET /v1/teams/" + id + "/members", key: v.key, headers: header("X-Team-Id", "t_1")})
		}
	}
	for _, v := range []struct{ key, prefix string }{{"spo-sk-admin", "/api/projects/"}, {"spo-sk-p2", "/api/projects/"}, {"spo-ok-owner", "/api/admin/projects/"}, {"spo-ok-so2", "/api/admin/projects/"}} {
		for _, id := range []string{"p_1", "p_2", "p_3", "p_susp", "p_orphan", "so_1", "so_2", "project:p_1", "P_1", "p_1,p_2", "nope", "p_1."} {
			b.h1(v.key+" GET "+id, request{line: "GET " + v.prefix + id, key: v.key})
			b.h1(v.key+" DELETE "+id, request{line: "DELETE " + v.prefix + id, key: v.key})
			b.h1(v.key+" below "+id, request{line: "GET " + v.prefix + id + "/lists", key: v.key})
		}
	}
	for _, key := range []string{"sho-sk-live", "sho-pk-live", "sho-sk-live-2"} {
		for _, value := range []string{"k_1", "k_2", "k_susp", "o_1", "org:k_1", "", "k_1,k_2", "K_1", "nope"} {
			b.both(key+" x-organization-id "+value, request{line: "GET /v1/feed", key: key, headers: header("x-organization-id", value)})
		}
		b.both(key+" twice", request{line: "GET /v1/feed", key: key, headers: []oracle.Header{{Name: "x-organization-id", Value: "k_1"}, {Name: "x-organization-id", Value: "k_1"}}})
		b.h1(key+" x-team-id is text here", request{line: "GET /v1/feed", key: key, headers: header("X-Team-Id", "t_1")})
	}
}
