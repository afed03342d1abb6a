package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"
)

// report is all that was measured.
type report struct {
	Made      time.Time         `json:"made"`
	Revision  string            `json:"revision,omitempty"`
	Go        string            `json:"go"`
	Platform  string            `json:"platform"`
	Cores     int               `json:"cores"`
	Rounds    int               `json:"rounds"`
	Duration  string            `json:"duration"`
	Subjects  map[string]string `json:"subjects"` // what each is
	Skipped   []string          `json:"skipped,omitempty"`
	Scenarios []*reported       `json:"scenarios"`
}

// reported is one scenario.
type reported struct {
	Name    string    `json:"name"`
	About   string    `json:"about"`
	Results []*result `json:"results"`
	Ratios  []*held   `json:"ratios"`

	chart bool
}

// held is a subject held against a baseline: each quantity's ratio.
type held struct {
	Subject string            `json:"subject"`
	To      string            `json:"to"`
	Ratios  map[string]figure `json:"ratios"`
}

func newReport(o *options) *report {
	r := &report{
		Made: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Cores: runtime.NumCPU(), Rounds: o.rounds, Duration: o.duration.String(), Subjects: map[string]string{},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				r.Revision = s.Value + r.Revision
			case s.Key == "vcs.modified" && s.Value == "true":
				r.Revision += ", modified"
			}
		}
	}
	return r
}

// begin adds a scenario without measurements.
func (r *report) begin(s scenario, subjects []*subject) *reported {
	c := &reported{Name: s.name(), About: s.about(), chart: s.chart}
	for _, one := range subjects {
		r.Subjects[one.name] = one.about
		c.Results = append(c.Results, &result{Subject: one.name})
	}
	r.Scenarios = append(r.Scenarios, c)
	return c
}

// hold holds all subjects against the baselines that were measured.
func (c *reported) hold() {
	for _, name := range baselines {
		base := c.result(name)
		if base == nil {
			continue
		}
		for _, one := range c.Results {
			if one == base {
				continue
			}
			h := &held{Subject: one.Subject, To: name, Ratios: map[string]figure{}}
			for _, q := range quantities {
				if q.name == "others_cores" {
					continue // is nothing of the subjects
				}
				if ratio, ok := one.ratio(base, q.name); ok {
					h.Ratios[q.name] = ratio
				}
			}
			c.Ratios = append(c.Ratios, h)
		}
	}
}

func (c *reported) result(subject string) *result {
	for _, one := range c.Results {
		if one.Subject == subject {
			return one
		}
	}
	return nil
}

// write writes the files.
func (r *report) write(o *options) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(writeFile(o.json, append(text, '\n')), writeFile(o.svg, r.chart()))
}

// writeFile writes a file, with its folder, unless it has no name.
func writeFile(name string, text []byte) error {
	if name == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return os.WriteFile(name, text, 0o644)
}
