# The kodey example as people write it for OPA's Envoy plugin. It answers the requests of this benchmark as the policy does;
# it leaves out what they don't exercise: paths that could be read in two ways, expiry, revoked keys, several environments.
package envoy.authz

request := input.attributes.request.http

category := input.parsed_path[1]

key := data.keys[crypto.sha256(trim_prefix(request.headers.authorization, "Bearer "))]

# Which types of key each category is open to.
categories := {
	"chat": {"publishable": true, "secret": true, "user_secret": true},
	"agents": {"secret": true, "user_secret": true},
	"workflows": {"secret": true, "user_secret": true},
	"mcp": {"secret": true, "user_secret": true},
	"files": {"secret": true, "user_secret": true},
	"webhooks": {"secret": true, "user_secret": true},
	"teams": {"user_secret": true},
	"members": {"user_secret": true},
	"api-keys": {"user_secret": true},
	"billing": {"user_secret": true},
	"team-settings": {"user_secret": true},
	"export": {"user_secret": true},
	"import": {"user_secret": true},
}

# The one team that a key reaches: its own, or the one that its user owns.
team := key.team

team := data.users[key.user].owns

elsewhere if request.headers["x-team-id"] != team

elsewhere if {
	category == "teams"
	input.parsed_path[2] != team
}

permitted if {
	categories[category][key.type]
	not elsewhere
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
		"x-key-endpoint": category,
		"x-key-tenant": team,
	},
} if {
	permitted
}
