package tracing

import (
	"fmt"

	"github.com/latchkey/latchkey/internal/serve"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// Options are what a Tracer is made of. What they don't say, the environment
// variables OTEL_… do.
type Options struct {
	Endpoint *serve.Address // receiver of spans; nil: as the environment says, or localhost:4317
	Insecure bool           // it is reached without TLS
	Ratio    *float64       // share that is traced of what Envoy sends no decision about; nil: as the environment says, or 0

	Service  string // name of the program, unless the environment says another
	Version  string
	Instance string // name of the process
}

// Configured returns the options of what a configuration file says, or nil where
// it wants no spans.
func Configured(read *configv1.Tracing) (*Options, error) {
	if read == nil {
		return nil, nil
	}
	o := &Options{Insecure: read.GetInsecure(), Ratio: read.SampleRatio}
	if text := read.GetEndpoint(); text != "" {
		address, err := serve.ParseAddress(text)
		if err != nil {
			return nil, fmt.Errorf("tracing.endpoint: %w", err)
		}
		o.Endpoint = &address
	}
	if r := read.GetSampleRatio(); r < 0 || r > 1 {
		return nil, fmt.Errorf("tracing.sample_ratio is %v: write a share from 0 to 1", r)
	}
	return o, nil
}
