package reload

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

// Source is what the configuration of a process comes from: flags, over a file if one is named.
type Source[M proto.Message] struct {
	File  string // its name; empty for none
	Text  []byte // what it holds
	Flags M
}

// Read reads the configuration file of a process that starts, if there is one.
func Read[M proto.Message](ctx context.Context, file string, flags M) (s Source[M], err error) {
	s = Source[M]{File: file, Flags: flags}
	if file == "" {
		return s, nil
	}
	calls := disk.Calls{Patience: disk.StartPatience}
	if s.Text, err = calls.Read(ctx, file, strictyaml.MaxSize); err != nil {
		return s, fmt.Errorf("reading the configuration: %w", err)
	}
	return s, nil
}

// Decode returns what the file says, and what it says under the flags, which win over it. beside has the file's say start at
// its own folder where it names others.
func (s Source[M]) Decode(beside func(file string, read M)) (read, said M, err error) {
	read = s.Flags.ProtoReflect().New().Interface().(M)
	if s.File != "" {
		if _, err := strictyaml.Decode(s.File, s.Text, read); err != nil {
			return read, read, err
		}
		beside(s.File, read)
	}
	return read, under(read, s.Flags), nil
}

// under returns the configuration of a file as it is under flags, which win over it.
func under[M proto.Message](file, flags M) M {
	all := proto.CloneOf(file)
	flags.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		all.ProtoReflect().Clear(field) // lists would be put together
		return true
	})
	proto.Merge(all, flags)
	return all
}
