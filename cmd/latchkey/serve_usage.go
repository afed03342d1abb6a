package main

import (
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/usage"
)

// newUsage makes what records the use of keys: by this process's own checks, and by those of its replicas.
func (p *process) newUsage() *usage.Keeper {
	return usage.New(usage.Options{
		Folder: p.config.data, Flush: p.config.usageFlush, Hourly: p.config.usageHourly, Log: p.log,
		Knows: func(d key.Digest) bool {
			var f key.Facts
			return p.db.Now().Lookup(d, &f)
		},
	})
}
