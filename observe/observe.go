// Package observe puts together what a process tells of each check beside its
// metrics: the decision log and the spans. Both are off unless they are asked
// for, and cost nothing then.
package observe

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/decisionlog"
	"github.com/latchkey/latchkey/internal/serve"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
	"github.com/latchkey/latchkey/tracing"
)

// Flag is the flag by which a command line asks for a decision log, and Usage
// what it is for.
const (
	Flag  = "decision-log"
	Usage = "where decisions are written down as lines of JSON, stdout or a file (default nowhere); decision_log in --config says more"
)

// Options say what is asked for.
type Options struct {
	Decisions *decisionlog.Options // nil: no decision log
	Tracing   *tracing.Options     // nil: no spans
}

// Config is a configuration file that says what is asked for: configv1.Serve or
// configv1.Sidecar.
type Config interface {
	GetDecisionLog() *configv1.DecisionLog
	GetTracing() *configv1.Tracing
}

// DecisionLogFlag is the value of the flag, which it puts into a configuration.
func DecisionLogFlag(to **configv1.DecisionLog) *decisionlog.Flag { return &decisionlog.Flag{To: to} }

// Configured returns what flags ask for, and the configuration file of this name.
func Configured(flags Config, file string, read Config) (o Options, err error) {
	if o.Decisions, err = decisionlog.Configured(flags.GetDecisionLog(), file, read.GetDecisionLog()); err != nil {
		return o, err
	}
	o.Tracing, err = tracing.Configured(read.GetTracing())
	return o, err
}

// Observers are what observes the checks of a process. The zero value observes
// nothing.
type Observers struct {
	observers  []authz.Observer
	options    []grpc.ServerOption
	collectors []prometheus.Collector
	parts      []part
}

type part struct {
	name string
	run  func(context.Context) error
}

// Process is whom spans are of.
type Process struct {
	Service, Version, Instance string
}

// Open opens what is asked for.
func Open(ctx context.Context, o Options, p Process, log *slog.Logger) (Observers, error) {
	all := Observers{}
	if o.Decisions != nil {
		l, err := decisionlog.New(*o.Decisions, log)
		if err != nil {
			return Observers{}, err
		}
		all.observers = append(all.observers, l)
		all.collectors = append(all.collectors, l.Collectors()...)
		all.parts = append(all.parts, part{"decision log", l.Run})
	}
	if o.Tracing != nil {
		of := *o.Tracing
		of.Service, of.Version, of.Instance = p.Service, p.Version, p.Instance
		t, err := tracing.New(ctx, of, log)
		if err != nil {
			return Observers{}, err
		}
		all.observers = append(all.observers, t)
		all.options = append(all.options, t.ServerOption())
		all.collectors = append(all.collectors, t.Collectors()...)
		all.parts = append(all.parts, part{"tracing", t.Run})
	}
	return all, nil
}

// Observers are told of each check.
func (o Observers) Observers() []authz.Observer { return o.observers }

// ServerOptions are those of the gRPC server of checks.
func (o Observers) ServerOptions() []grpc.ServerOption { return o.options }

// Collectors returns the metrics.
func (o Observers) Collectors() []prometheus.Collector { return o.collectors }

// AddTo adds what runs to a group: it ends after the last check was answered.
func (o Observers) AddTo(g *serve.Group) {
	for _, p := range o.parts {
		g.Add(serve.Work, p.name, p.run)
	}
}
