// Package examples holds four real API-key systems as policies, each with a
// directory, a table of requests and an Envoy configuration.
package examples

import "embed"

// Files are the YAML files of all examples, each as <system>/<file>.yaml.
//
//go:embed */*.yaml
var Files embed.FS

// Systems are the names of the examples, which are their folders.
var Systems = []string{"kodey", "cuneiform", "spotzee", "shortkit"}
