package reload

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/internal/serve"
)

// Settings are what every process may be told anew while it runs.
type Settings struct {
	Level slog.Level    // the least severe log lines that are written
	Drain time.Duration // that it goes on once it is told to stop
}

// ParseSettings reads the settings. The error names the flag.
func ParseSettings(said interface {
	GetLogLevel() string
	GetDrainDelay() string
},
) (s Settings, err error) {
	if s.Level, err = serve.ParseLevel(said.GetLogLevel()); err != nil {
		return s, fmt.Errorf("--log-level: %w", err)
	}
	if s.Drain, err = serve.ParseDrainDelay(said.GetDrainDelay()); err != nil {
		return s, fmt.Errorf("--drain-delay: %w", err)
	}
	return s, nil
}

// Current are the settings in use. It is safe for concurrent use.
type Current struct {
	level slog.LevelVar
	drain atomic.Int64
}

// NewCurrent returns the settings of a process that starts.
func NewCurrent(s Settings) *Current {
	c := &Current{}
	c.Use(s)
	return c
}

// Use puts settings in use.
func (c *Current) Use(s Settings) {
	c.level.Set(s.Level)
	c.drain.Store(int64(s.Drain))
}

// Level is the log's, as it is at each line.
func (c *Current) Level() slog.Leveler { return &c.level }

// Drain is how long the process goes on once it is told to stop.
func (c *Current) Drain() time.Duration { return time.Duration(c.drain.Load()) }
