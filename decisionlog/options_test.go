package decisionlog

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/strictyaml"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

func TestConfigured(t *testing.T) {
	for _, c := range []struct {
		flag, yaml string
		want       Options
		wrong      string // empty: nothing is
	}{
		{"", "{output: stdout}", Options{MaxSize: 100 << 20, MaxFiles: 5}, ""},
		{"", "{output: file, path: d.ndjson, allow_sample: 0.25, max_size: 1GiB, max_files: 2}", Options{"/etc/latchkey/d.ndjson", 0.25, 1 << 30, 2}, ""},
		{"", "{output: file, path: /var/log/d.ndjson, allow_sample: 1}", Options{"/var/log/d.ndjson", 1, 100 << 20, 5}, ""},
		{"stdout", "{output: file, path: d.ndjson, allow_sample: 0.25}", Options{"", 0.25, 100 << 20, 5}, ""},
		{"here.ndjson", "{output: stdout, max_files: 1}", Options{"here.ndjson", 0, 100 << 20, 1}, ""},
		{"here.ndjson", "", Options{"here.ndjson", 0, 100 << 20, 5}, ""},
		{"", "{output: file}", Options{}, "decision_log.path is missing"},
		{"", "{path: d}", Options{}, "decision_log.output is missing: write stdout, or file"},
		{"", "{output: stdout, path: d}", Options{}, "leave the path out"},
		{"", "{output: stdout, allow_sample: 1.1}", Options{}, "from 0 to 1"},
		{"", "{output: stdout, allow_sample: -1}", Options{}, "from 0 to 1"},
		{"", "{output: stdout, max_files: 1001}", Options{}, "at most 1000"},
		{"", "{output: stdout, max_size: 512KiB}", Options{}, "too small"},
		{"", "{output: stdout, max_size: 100MB}", Options{}, "such as 100MiB"},
		{"", "{output: stdout, max_size: 99999999999GiB}", Options{}, "such as 100MiB"},
		{"", "{output: stdout, max_size: -1MiB}", Options{}, "such as 100MiB"},
	} {
		var read *configv1.DecisionLog
		if c.yaml != "" {
			read = &configv1.DecisionLog{}
			if _, err := strictyaml.Decode("serve.yaml", []byte(c.yaml), read); err != nil {
				t.Fatal(err)
			}
		}
		var flag *configv1.DecisionLog
		if c.flag != "" {
			if err := (&Flag{&flag}).Set(c.flag); err != nil {
				t.Fatal(err)
			}
		}
		switch got, err := Configured(flag, "/etc/latchkey/serve.yaml", read); {
		case c.wrong != "":
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%q, %s: %v, want %q", c.flag, c.yaml, err, c.wrong)
			}
		case err != nil:
			t.Errorf("%q, %s: %v", c.flag, c.yaml, err)
		case *got != c.want:
			t.Errorf("%q, %s: %+v, want %+v", c.flag, c.yaml, *got, c.want)
		}
	}
	if got, err := Configured(nil, "", nil); got != nil || err != nil {
		t.Errorf("it isn't off by default: %v, %v", got, err)
	}
}
