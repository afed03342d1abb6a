package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/latchkey/latchkey/bench/proc"
)

// report is all that was measured.
type report struct {
	Made    time.Time  `json:"made"`
	Go      string     `json:"go"`
	Cores   int        `json:"cores"`
	Load    string     `json:"load"` // of the machine when it began: averages over 1, 5 and 15 minutes
	Revokes []*revokes `json:"revokes,omitempty"`
	Costs   []*cost    `json:"costs,omitempty"`
	Deltas  []*delta   `json:"deltas,omitempty"`
	Fresh   []*fresh   `json:"fresh,omitempty"`
}

// revokes is what became of the keys that were revoked in one fleet, by times from the call.
type revokes struct {
	Link     link            `json:"link"`
	Replicas int             `json:"replicas"`
	Real     int             `json:"real"`
	Checks   int             `json:"checks"` // that went through Envoys meanwhile
	Busy     float64         `json:"busy_cores"`
	Answer   []time.Duration `json:"answer_ns"`
	Light    []time.Duration `json:"light_ns"` // the last light follower
	Behind   []time.Duration `json:"real_ns"`  // the last real one, through Envoy
	Last     []time.Duration `json:"last_ns"`  // the last of all
	Receipt  []time.Duration `json:"receipt_ns"`
}

func (r *revokes) add(t times) {
	r.Answer, r.Receipt = append(r.Answer, t.answer), append(r.Receipt, t.receipt)
	r.Light, r.Behind = append(r.Light, t.light), append(r.Behind, t.real)
	r.Last = append(r.Last, max(t.light, t.real))
}

// cost is what a number of followers cost a hub.
type cost struct {
	Link           link          `json:"link"`
	Followers      int           `json:"followers"`
	Resident       float64       `json:"resident_bytes_per_follower"`
	Live           float64       `json:"live_bytes_per_follower"`
	HubResident    int64         `json:"hub_resident_bytes"`
	ConnectMicros  float64       `json:"connect_cpu_us"`  // a follower that comes
	WriteMicros    float64       `json:"write_cpu_us"`    // a write, without followers
	DeltaMicros    float64       `json:"delta_cpu_us"`    // a follower and write
	DeltaBytes     float64       `json:"delta_bytes"`     // the same
	QuestionMicros float64       `json:"question_cpu_us"` // a question
	IdleCores      float64       `json:"idle_cores"`      // while all ask and nothing is written
	Spread         time.Duration `json:"write_to_last_ns"`
}

// delta is what writes of one size cost.
type delta struct {
	Link        link    `json:"link"`
	Followers   int     `json:"followers"`
	Keys        int     `json:"keys"`
	Micros      float64 `json:"delta_cpu_us"` // a follower and write
	WriteMicros float64 `json:"write_cpu_us"`
	Bytes       float64 `json:"delta_bytes"`
	Last        summary `json:"last"`
}

// fresh is how one sidecar came to answer.
type fresh struct {
	Keys        int           `json:"keys"`
	Serving     time.Duration `json:"serving_ns"`
	Snapshot    int64         `json:"snapshot_bytes"`
	SidecarPeak int64         `json:"sidecar_peak_bytes"`
	SidecarFile int64         `json:"sidecar_file_bytes"`
	SidecarCPU  time.Duration `json:"sidecar_cpu_ns"`
	HubRest     int64         `json:"hub_rest_bytes"`
	HubPeak     int64         `json:"hub_peak_bytes"`
	HubCPU      time.Duration `json:"hub_cpu_ns"`
	HubGrowth   int64         `json:"hub_file_growth_bytes"`
	Restart     time.Duration `json:"restart_ns"`
}

func newReport() *report {
	r := &report{Made: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), Cores: runtime.NumCPU()}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	return r
}

// busy returns how long all cores together have been busy.
func busy() (time.Duration, error) { return proc.MachineTime() }

// summary is what many durations say.
type summary struct{ P50, P99, Max time.Duration }

// summarize returns the middle, the 99th percentile (the smallest that 99 of 100 don't exceed) and the most.
func summarize(all []time.Duration) summary {
	if len(all) == 0 {
		return summary{}
	}
	sorted := slices.Sorted(slices.Values(all))
	at := func(percent int) time.Duration { return sorted[max(0, (len(sorted)*percent+99)/100-1)] }
	return summary{at(50), at(99), sorted[len(sorted)-1]}
}

func (s summary) String() string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1000) }
	return ms(s.P50) + "\t" + ms(s.P99) + "\t" + ms(s.Max)
}

// print writes the report for people.
func (r *report) print(to io.Writer) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %d cores, %s; load of the machine at the beginning: %s\n", runtime.GOOS, r.Cores, r.Go, r.Load)
	header := func(text string) { fmt.Fprintf(t, "\n%s\n", text) }
	for i, one := range r.Revokes {
		if i == 0 {
			header("revokes: ms from the call, p50, p99, max\nlink\treplicas\treal\tanswer\t\t\tlast light one\t\t\tlast Envoy\t\t\tlast of all\t\t\treceipt\t\t\tchecks\tbusy cores")
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%.1f\n", one.Link, one.Replicas, one.Real,
			summarize(one.Answer), summarize(one.Light), summarize(one.Behind), summarize(one.Last), summarize(one.Receipt), one.Checks, one.Busy)
	}
	for i, one := range r.Costs {
		if i == 0 {
			header("cost of a follower at the hub\nlink\tfollowers\tresident kB\tlive kB\tconnect µs\tdelta µs\tdelta bytes\tquestion µs\tidle cores\ta write µs\twrite to last ms\thub MB")
		}
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%.1f\t%.0f\t%.1f\t%.0f\t%.1f\t%.3f\t%.0f\t%.1f\t%.0f\n", one.Link, one.Followers, one.Resident/1000, one.Live/1000,
			one.ConnectMicros, one.DeltaMicros, one.DeltaBytes, one.QuestionMicros, one.IdleCores, one.WriteMicros, one.Spread.Seconds()*1000, float64(one.HubResident)/1e6)
	}
	for i, one := range r.Deltas {
		if i == 0 {
			header("writes by size\nlink\tfollowers\tkeys\tCPU µs a follower\tbytes\tCPU µs alone\tms to the last, p50\tp99\tmax")
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f\t%.0f\t%.0f\t%s\n", one.Link, one.Followers, one.Keys, one.Micros, one.Bytes, one.WriteMicros, one.Last)
	}
	for i, one := range r.Fresh {
		if i == 0 {
			header("a new sidecar\nkeys\tserving s\tsnapshot MB\tsidecar peak MB\tits file MB\tits CPU s\thub at rest MB\tits peak MB\tits CPU s\tits file's growth MB\trestart without hub s")
		}
		mb := func(n int64) string { return fmt.Sprintf("%.1f", float64(n)/1e6) }
		fmt.Fprintf(t, "%d\t%.2f\t%s\t%s\t%s\t%.2f\t%s\t%s\t%.2f\t%s\t%.2f\n", one.Keys, one.Serving.Seconds(), mb(one.Snapshot), mb(one.SidecarPeak), mb(one.SidecarFile),
			one.SidecarCPU.Seconds(), mb(one.HubRest), mb(one.HubPeak), one.HubCPU.Seconds(), mb(one.HubGrowth), one.Restart.Seconds())
	}
	return t.Flush()
}

// write writes all figures to a file, unless it has no name.
func (r *report) write(name string) error {
	if name == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return cmp.Or(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, append(text, '\n'), 0o644))
}
