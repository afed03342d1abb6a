package decisionlog

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// Options are what a Log is made of.
type Options struct {
	Path        string  // empty: standard output
	AllowSample float64 // share of what is allowed that is written down, 0 to 1; of what is denied all is
	MaxSize     int64   // bytes at which a new file is begun
	MaxFiles    int     // kept, the one that is written to among them
}

const (
	defaultMaxSize  = 100 << 20
	defaultMaxFiles = 5
	// stdout is what a flag calls standard output.
	stdout = "stdout"
)

// Flag is the value of a flag that says where lines are written to: stdout, or
// a file.
type Flag struct{ To **configv1.DecisionLog }

// Set implements flag.Value.
func (f *Flag) Set(text string) error {
	switch text {
	case "":
		return errors.New("name a file, or write stdout")
	case stdout:
		*f.To = &configv1.DecisionLog{Output: configv1.DecisionLog_OUTPUT_STDOUT}
	default:
		*f.To = &configv1.DecisionLog{Output: configv1.DecisionLog_OUTPUT_FILE, Path: text}
	}
	return nil
}

// String implements flag.Value.
func (f *Flag) String() string { return "" }

// Type is what help calls the value.
func (f *Flag) Type() string { return "string" }

// Configured returns the options of what a Flag says, over what the
// configuration file says, or nil where neither wants a log. A path in the file
// is relative to it.
func Configured(flag *configv1.DecisionLog, file string, read *configv1.DecisionLog) (*Options, error) {
	if flag == nil && read == nil {
		return nil, nil
	}
	o := &Options{AllowSample: read.GetAllowSample(), MaxSize: defaultMaxSize, MaxFiles: defaultMaxFiles}
	var err error
	if flag != nil {
		o.Path = flag.GetPath()
	} else if o.Path, err = pathOf(file, read); err != nil {
		return nil, err
	}
	if o.AllowSample < 0 || o.AllowSample > 1 {
		return nil, fmt.Errorf("decision_log.allow_sample is %v: write a share from 0 to 1", o.AllowSample)
	}
	if text := read.GetMaxSize(); text != "" {
		if o.MaxSize, err = parseSize(text); err != nil {
			return nil, fmt.Errorf("decision_log.max_size: %w", err)
		}
	}
	if n := read.GetMaxFiles(); n > 1000 {
		return nil, fmt.Errorf("decision_log.max_files is %d: keep at most 1000", n)
	} else if n > 0 {
		o.MaxFiles = int(n)
	}
	return o, nil
}

// pathOf returns where the configuration file wants lines to be written; empty for
// standard output.
func pathOf(file string, read *configv1.DecisionLog) (string, error) {
	path := read.GetPath()
	switch output := read.GetOutput(); {
	case output == configv1.DecisionLog_OUTPUT_FILE && path == "":
		return "", errors.New("decision_log.path is missing: name the file that lines are written to")
	case output == configv1.DecisionLog_OUTPUT_FILE && !filepath.IsAbs(path):
		return filepath.Join(filepath.Dir(file), path), nil
	case output == configv1.DecisionLog_OUTPUT_FILE:
		return path, nil
	case output != configv1.DecisionLog_OUTPUT_STDOUT:
		return "", errors.New("decision_log.output is missing: write stdout, or file and a path")
	case path != "":
		return "", errors.New("decision_log.path is the file of `output: file`: write that, or leave the path out")
	}
	return "", nil
}

// units are what sizes are written in.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

// parseSize reads a size such as 100MiB. It is no smaller than what is written
// at once, so that no file is larger.
func parseSize(text string) (int64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		switch {
		case err != nil || n > uint64(math.MaxInt64/u.bytes):
		case int64(n)*u.bytes < bufferSize:
			return 0, fmt.Errorf("%q is too small: write 1MiB or more", text)
		default:
			return int64(n) * u.bytes, nil
		}
	}
	return 0, fmt.Errorf("%q is no size: write a whole number and KiB, MiB or GiB, such as 100MiB", text)
}
