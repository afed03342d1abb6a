package main

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/bench/load"
	"github.com/latchkey/latchkey/bench/proc"
)

// measurement is what one subject did in one round of one scenario.
type measurement struct {
	Round      int     `json:"round"`
	Answers    int     `json:"answers"`
	Unanswered int     `json:"unanswered,omitempty"`
	PerSecond  float64 `json:"checks_per_second"`
	// Microseconds of CPU time for a check, of each process there is.
	ServerCPU    float64 `json:"server_cpu_us,omitempty"`
	EnvoyCPU     float64 `json:"envoy_cpu_us,omitempty"`
	GeneratorCPU float64 `json:"generator_cpu_us"`
	// Microseconds from the request to its answer.
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	// Of the server, after the load; of Envoy where there is no server.
	Memory float64 `json:"memory_mb"`
	// Cores that were busy with something else.
	Others float64 `json:"others_cores"`
}

// roundShift is by how many requests one round begins after another.
const roundShift = 1009

// warmup is the part of a measurement's length that is driven before it.
const warmup = 5

func (b *bench) measure(ctx context.Context, i *instance, s scenario, round int) (*measurement, error) {
	meters := map[string]*meter{"machine": {read: proc.MachineTime}, "generator": processMeter(b.pid)}
	if i.server != nil {
		meters["server"] = processMeter(i.server.PID())
	}
	if i.envoy != nil {
		meters["envoy"] = processMeter(i.envoy.PID())
	}
	all := func(f func(*meter) error) func() error {
		return func() error {
			for _, m := range meters {
				if err := f(m); err != nil {
					return err
				}
			}
			return nil
		}
	}
	result, err := load.Run(ctx, load.Plan{
		Protocol: i.protocol, Network: i.at.network, Address: i.at.target,
		Connections: s.connections, InFlight: s.inFlight, Rate: s.rate,
		Warmup: b.options.duration / warmup, Duration: b.options.duration,
		Requests: i.requests, Want: i.want, First: round * roundShift,
		Begin: all((*meter).begin), End: all((*meter).end),
	})
	if err != nil {
		return nil, i.blame(err)
	}
	m := &measurement{Round: round, Answers: result.Answers, Unanswered: result.Unanswered, PerSecond: result.PerSecond()}
	if result.Latency.TotalCount() > 0 {
		at := func(percentile float64) float64 { return microseconds(result.Latency.ValueAtQuantile(percentile)) }
		m.P50, m.P99, m.P999 = at(50), at(99), at(99.9)
	}
	others := meters["machine"].used
	for name, into := range map[string]*float64{"server": &m.ServerCPU, "envoy": &m.EnvoyCPU, "generator": &m.GeneratorCPU} {
		if meter := meters[name]; meter != nil && result.Answers > 0 {
			*into = microseconds(int64(meter.used)) / float64(result.Answers)
			others -= meter.used
		}
	}
	m.Others = max(0, others.Seconds()/result.Elapsed.Seconds())
	process := i.server
	if process == nil {
		process = i.envoy
	}
	memory, err := proc.ResidentMemory(process.PID())
	if err != nil {
		return nil, i.blame(err)
	}
	m.Memory = float64(memory) / (1 << 20)
	return m, nil
}

func microseconds(nanoseconds int64) float64 { return float64(nanoseconds) / float64(time.Microsecond) }

// blame adds to an error what the processes said.
func (i *instance) blame(err error) error {
	err = i.explain(err)
	for _, c := range []*proc.Child{i.server, i.envoy} {
		err = c.Blame(err)
	}
	return err
}

// meter is CPU time between two moments.
type meter struct {
	read func() (time.Duration, error)
	used time.Duration
}

func processMeter(pid int) *meter {
	return &meter{read: func() (time.Duration, error) { return proc.CPUTime(pid) }}
}

func (m *meter) begin() (err error) {
	m.used, err = m.read()
	return err
}

func (m *meter) end() error {
	now, err := m.read()
	m.used = now - m.used
	return err
}
