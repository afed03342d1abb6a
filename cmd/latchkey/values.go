package main

import (
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/internal/strictyaml"
)

// span is the value of a flag that is a length of time: 90d, 1h30m.
type span struct{ *durationpb.Duration }

var _ pflag.Value = (*span)(nil)

// Set implements pflag.Value.
func (s *span) Set(text string) error {
	d, err := strictyaml.ParseDuration(text)
	if err != nil {
		return err
	}
	s.Duration = durationpb.New(d)
	return nil
}

// String implements pflag.Value.
func (s *span) String() string {
	if s.Duration == nil {
		return ""
	}
	return s.AsDuration().String()
}

// Type implements pflag.Value.
func (s *span) Type() string { return "duration" }

// instant is the value of a flag that is a time: RFC 3339.
type instant struct{ *timestamppb.Timestamp }

var _ pflag.Value = (*instant)(nil)

// Set implements pflag.Value.
func (i *instant) Set(text string) error {
	t, err := parseTime(text)
	if err != nil {
		return err
	}
	i.Timestamp = t
	return nil
}

// String implements pflag.Value.
func (i *instant) String() string { return moment(i.Timestamp) }

// Type implements pflag.Value.
func (i *instant) Type() string { return "time" }

func parseTime(text string) (*timestamppb.Timestamp, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usagef("%q is no time: write it as 2030-01-31T12:00:00Z", text)
	}
	return timestamppb.New(t), nil
}
