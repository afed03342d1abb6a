package oracle

import "fmt"

func shortkitAccess(method string, s []string) access {
	if len(s) < 2 || s[0] != "v1" {
		return access{}
	}
	switch s[1] {
	case "content", "feed", "events", "config", "analytics", "webhooks", "api-keys":
	default:
		return access{}
	}
	a := access{known: true, types: []string{"secret"}}
	switch {
	case isRead(method) && s[1] == "feed" && len(s) <= 3, // fetching feed content
		method == "POST" && s[1] == "events" && len(s) == 2, // sending engagement events
		isRead(method) && s[1] == "config" && len(s) == 2:   // reading public configuration
		a.types = []string{"secret", "publishable"}
	}
	return a
}

// shortkitBody is the document's error body. {request_id} stands for the id of
// the request. It is empty where the document has no sentence for the case.
func shortkitBody(reason string, status int, keyEnvironment, endpointEnvironment string) string {
	code, message := "", ""
	switch {
	case reason == "KEY_REVOKED":
		code, message = "KEY_REVOKED", "API key has been revoked"
	case status == 401:
		code, message = "UNAUTHORIZED", "Invalid API key provided"
	case reason == "ENVIRONMENT_MISMATCH" && keyEnvironment == "test" && endpointEnvironment == "live":
		code, message = reason, "Using test key on production endpoint"
	case reason == "ENVIRONMENT_MISMATCH" && keyEnvironment == "live" && endpointEnvironment == "test":
		code, message = reason, "Using live key on staging endpoint"
	case reason == "ENVIRONMENT_MISMATCH":
		return ""
	case status == 403:
		code, message = "FORBIDDEN", "Key lacks required permissions"
	default:
		return ""
	}
	return fmt.Sprintf(`{"error":{"code":%q,"message":%q},"meta":{"requestId":"{request_id}"}}`, code, message)
}
