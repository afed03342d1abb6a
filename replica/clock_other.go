//go:build !linux

package replica

import "time"

// sinceBoot stands in for the time since the machine was started, where the system doesn't tell it.
func sinceBoot() Instant { return time.Since(processStart) }

// bootID is empty: what was written down before can't be told from another start of the machine.
func bootID() string { return "" }
