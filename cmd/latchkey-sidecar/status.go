package main

import (
	"path/filepath"
	"time"

	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/storage"
)

// status is what a sidecar says of itself at /status of --http. Its fields are those of `latchkey status -o json`, as far as
// a sidecar has them.
type status struct {
	Version  string   `json:"version"`
	Ready    bool     `json:"ready"`    // requests can be decided, and whoever asks reaches it
	Degraded bool     `json:"degraded"` // its store takes no writes
	Problems []string `json:"problems"`

	Name      string    `json:"name"` // by which hubs show it
	Data      string    `json:"data"`
	StartedAt time.Time `json:"started_at"`
	Position  position  `json:"position"`

	Hub          string   `json:"hub,omitempty"` // that feeds it; absent for none
	AgeSeconds   *float64 `json:"age_seconds"`   // since it was last proven to be up to date; null for never
	LeaseSeconds *float64 `json:"lease_seconds"` // that it answers without news of a hub from now on; null for without limit
}

type position struct {
	Epoch    uint64 `json:"epoch"`
	Revision uint64 `json:"revision"`
	Digest   string `json:"digest"`
}

func (p *process) status() (document any, ready bool) {
	ready, why, left := p.answerable()
	follows, at, store := p.follower.Status(), p.db.Position(), p.store.Problem()
	s := status{
		Version: serve.ThisBuild(version).Version, Ready: ready, Degraded: store != nil, Problems: []string{},
		Name: p.config.name, Data: p.config.data, StartedAt: p.started.UTC(),
		Position: position{at.Epoch, at.Revision, at.Digest.String()}, Hub: follows.Hub,
	}
	if full, err := filepath.Abs(s.Data); err == nil {
		s.Data = full
	}
	if !ready {
		s.Problems = append(s.Problems, "requests can't be decided, and are answered with 503: "+why)
	}
	if lost := p.listeners.Problems(); len(lost) > 0 {
		s.Ready = false
		s.Problems = append(s.Problems, lost...)
	}
	if follows.Hub == "" && follows.Problem != "" {
		s.Problems = append(s.Problems, "no hub feeds this replica: "+follows.Problem)
	}
	if follows.Proven {
		age := follows.Age.Seconds()
		s.AgeSeconds = &age
	}
	if !ready || left > 0 {
		lease := left.Seconds()
		s.LeaseSeconds = &lease
	}
	if p.file != nil {
		s.Problems = append(s.Problems, p.file.Problems()...)
	}
	if p.link != nil {
		s.Problems = append(s.Problems, p.link.Problems()...)
	}
	if store != nil {
		s.Problems = append(s.Problems, storage.TroubleText(store))
	}
	s.Problems = append(s.Problems, p.usage.Problems()...)
	for i, problem := range s.Problems {
		s.Problems[i] = serve.Redact(problem) // people paste tokens where they don't belong
	}
	return s, s.Ready
}
