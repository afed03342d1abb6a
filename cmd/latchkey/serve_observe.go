package main

import (
	"context"
	"os"

	"github.com/latchkey/latchkey/observe"
)

// openObservers opens the decision log and the tracing that the configuration
// asks for.
func (p *process) openObservers(ctx context.Context) (err error) {
	host, err := os.Hostname()
	if err != nil {
		host = p.dataFolder() // it is for people to tell processes apart
	}
	p.observe, err = observe.Open(ctx, p.config.observe, observe.Process{Service: "latchkey", Version: thisBuild().Version, Instance: host}, p.log)
	return err
}
