package main

import (
	"context"

	"github.com/latchkey/latchkey/internal/reload"
)

// reconfigure puts a new content of the configuration file in use: what may change while the process runs, all of it or,
// if there is a mistake, nothing.
func (p *process) reconfigure(_ context.Context, text []byte) (restart []string, err error) {
	from := p.config.from
	from.Text = text
	now, err := configure(from)
	if err != nil {
		return nil, err
	}
	p.current.Use(now.settings)
	if cut := p.hubs.Set(now.ids); cut > 0 {
		p.log.Warn("connections to hubs that are believed no more were closed", "connections", cut)
	}
	return reload.Cold(p.config.said, now.said), nil
}
