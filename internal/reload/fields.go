// Package reload reads the configuration file of a process again while it runs.
//
// Fields are hot or cold: what a hot one says is in use at once, what a cold one says is from the next start on, and until
// then people are told so. A File is followed by Run; what is to be done with its content is the process's to say.
package reload

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// when is when a change of a field is in use.
type when int

const (
	cold when = iota // from the next start on
	hot              // at once
)

// fields says of each field of the configuration of a process when a change of it is in use. Addresses and folders are
// cold: others know the process by them. max_staleness is, since hubs count on what they were told of it.
var fields = map[protoreflect.FullName]map[protoreflect.Name]when{
	"latchkey.config.v1.Serve": {
		"policy":       hot,
		"data":         cold,
		"listen":       cold,
		"admin":        cold,
		"http":         cold,
		"log_level":    hot,
		"hub_listen":   cold,
		"tls":          cold, // the files that it names are followed all the same
		"operators":    hot,
		"followers":    hot,
		"usage_flush":  cold,
		"usage_hourly": cold,
		"drain_delay":  hot,
		"decision_log": cold,
		"tracing":      cold,
	},
	"latchkey.config.v1.Sidecar": {
		"hub":            cold,
		"data":           cold,
		"listen":         cold,
		"http":           cold,
		"log_level":      hot,
		"max_staleness":  cold,
		"name":           cold,
		"tls":            cold,
		"hub_identities": hot,
		"usage_flush":    cold,
		"drain_delay":    hot,
		"decision_log":   cold,
		"tracing":        cold,
	},
}

// Cold returns the names of the fields in which two configurations differ and which take a restart, in their order.
func Cold(running, now proto.Message) []string {
	var names []string
	a, b := running.ProtoReflect(), now.ProtoReflect()
	all := a.Descriptor().Fields()
	for i := range all.Len() {
		field := all.Get(i)
		if fields[a.Descriptor().FullName()][field.Name()] == hot {
			continue
		}
		if a.Has(field) != b.Has(field) || !a.Get(field).Equal(b.Get(field)) {
			names = append(names, string(field.Name()))
		}
	}
	return names
}
