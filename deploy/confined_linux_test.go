package deploy_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// confined: a process is its user, may gain nothing, and calls what the profile lets it.
func confined(t *testing.T, r *running, uid int) {
	t.Helper()
	status := readFile(t, fmt.Sprintf("/proc/%d/status", r.pid(t)))
	for _, want := range []string{
		fmt.Sprintf(`Uid:\t%d\t%[1]d\t%[1]d\t%[1]d\n`, uid), `CapPrm:\t0+\n`, `CapEff:\t0+\n`, `CapBnd:\t0+\n`, `NoNewPrivs:\t1\n`, `Seccomp:\t2\n`, fmt.Sprintf(`Groups:\t(\d+ )*%d `, user),
	} {
		if !regexp.MustCompile(want).MatchString(status) {
			t.Errorf("%s isn't confined: want %s in\n%s", r.name, want, status)
		}
	}
	t.Logf("%s:\n%s", r.name, strings.Join(regexp.MustCompile(`(?m)^(Uid|Groups|CapEff|NoNewPrivs|Seccomp):.*$`).FindAllString(status, -1), "\n"))
	mounts := readFile(t, fmt.Sprintf("/proc/%d/mountinfo", r.pid(t)))
	if !regexp.MustCompile(`(?m)^\d+ \d+ \S+ \S+ / ro,`).MatchString(mounts) {
		t.Errorf("%s may write to its root:\n%s", r.name, mounts)
	}
}
