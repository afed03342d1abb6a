package link

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/link/linktest"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// metric is the value of a metric of a source, by the value of its label where
// it has one.
func metric(t *testing.T, s *Source, name, label string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(s.Collectors()...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s of %q", name, label)
	return 0
}

func reloads(t *testing.T, s *Source, result string) float64 {
	return metric(t, s, "latchkey_certificate_reloads_total", result)
}

func TestConfigurations(t *testing.T) {
	for name, c := range map[string]struct {
		config *configv1.TLS
		says   []string // none: good
	}{
		"files":                   {&configv1.TLS{Certificate: "a", Key: "b", Ca: "c"}, nil},
		"Workload API":            {&configv1.TLS{WorkloadApi: "unix:/run/a.sock"}, nil},
		"none":                    {nil, []string{"tls is missing", "workload_api"}},
		"empty":                   {&configv1.TLS{}, []string{"tls is missing"}},
		"no key":                  {&configv1.TLS{Certificate: "a", Ca: "c"}, []string{"tls.key is missing", "private key"}},
		"no certificate, no CA":   {&configv1.TLS{Key: "b"}, []string{"tls.certificate is missing", "tls.ca is missing"}},
		"both":                    {&configv1.TLS{Certificate: "a", Key: "b", Ca: "c", WorkloadApi: "unix:/a"}, []string{"exclude each other"}},
		"Workload API and a file": {&configv1.TLS{Ca: "c", WorkloadApi: "unix:/a"}, []string{"tls.ca exclude each other"}},
		"Workload API over TCP":   {&configv1.TLS{WorkloadApi: "127.0.0.1:1"}, []string{"tls.workload_api", "unix:PATH"}},
		"a bad address":           {&configv1.TLS{WorkloadApi: "unix:///run/a.sock"}, []string{"tls.workload_api", "unix:PATH"}},
	} {
		err := Check(c.config)
		if (err == nil) != (c.says == nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, says := range c.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want it to say %q", name, err, says)
			}
		}
	}
}

func TestBadFilesAreErrorsOfTheStart(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	good, other := ca.Issue(t, hubLeaf), ca.Issue(t, hubLeaf)
	expired := ca.Issue(t, linktest.Leaf{DNSNames: []string{"a"}, From: time.Now().Add(-2 * time.Hour), Until: time.Now().Add(-time.Hour)})
	early := ca.Issue(t, linktest.Leaf{DNSNames: []string{"a"}, From: time.Now().Add(time.Hour)})
	write := func(file string, content []byte) func(string) {
		return func(dir string) {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		spoil func(dir string)
		file  string
		says  string
	}{
		"no certificate":            {func(dir string) { _ = os.Remove(filepath.Join(dir, "tls.crt")) }, "tls.crt", "tls.certificate"},
		"no key":                    {func(dir string) { _ = os.Remove(filepath.Join(dir, "tls.key")) }, "tls.key", "tls.key"},
		"no CA":                     {func(dir string) { _ = os.Remove(filepath.Join(dir, "ca.crt")) }, "ca.crt", "tls.ca"},
		"an empty certificate":      {write("tls.crt", nil), "tls.crt", "no certificate in PEM"},
		"a broken certificate":      {write("tls.crt", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), "tls.crt", "tls.key"},
		"half a certificate":        {write("tls.crt", good.CertificatePEM()[:300]), "tls.crt", "no certificate in PEM"},
		"a chain cut off":           {write("tls.crt", append(good.CertificatePEM(), ca.PEM()[:200]...)), "tls.crt", "cut off"},
		"a key in the certificate":  {write("tls.crt", append(good.CertificatePEM(), good.KeyPEM(t)...)), "tls.crt", "certificates alone"},
		"an expired certificate":    {func(dir string) { linktest.Write(t, dir, expired, ca) }, "tls.crt", "expired at"},
		"a certificate of tomorrow": {func(dir string) { linktest.Write(t, dir, early, ca) }, "tls.crt", "isn't valid before"},
		"another key":               {write("tls.key", other.KeyPEM(t)), "tls.key", "no key for the certificate"},
		"half a key":                {write("tls.key", good.KeyPEM(t)[:90]), "tls.key", "no key for the certificate"},
		"an empty key":              {write("tls.key", nil), "tls.key", "no key for the certificate"},
		"an empty CA":               {write("ca.crt", nil), "ca.crt", "no certificate in PEM"},
		"words in place of a CA":    {write("ca.crt", []byte("none yet\n")), "ca.crt", "no certificate in PEM"},
		"a CA that is none":         {write("ca.crt", append(ca.PEM(), good.CertificatePEM()...)), "ca.crt", "certificate 2 of"},
		"CAs cut off":               {write("ca.crt", append(ca.PEM(), ca.PEM()[:100]...)), "ca.crt", "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			config := linktest.Write(t, dir, good, ca)
			c.spoil(dir)
			_, err := Open(t.Context(), config, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), filepath.Join(dir, c.file)) {
				t.Fatalf("%v, want an error about %s that says %q", err, c.file, c.says)
			}
			for line := range bytes.Lines(good.KeyPEM(t)) {
				if line = bytes.TrimSpace(line); !bytes.HasPrefix(line, []byte("---")) && strings.Contains(err.Error(), string(line)) {
					t.Errorf("the error quotes the key: %v", err)
				}
			}
		})
	}
}

func TestAKeyThatEverybodyMayReadIsWarnedOf(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	config := linktest.Write(t, t.TempDir(), ca.Issue(t, hubLeaf), ca)
	if _, log := open(t, config); log.count("private key") != 0 {
		t.Errorf("a key of mode 0600 is warned of: %s", log)
	}
	if err := os.Chmod(config.GetKey(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, log := open(t, config); log.count("private key") != 1 {
		t.Errorf("a key that everybody may read isn't warned of: %s", log)
	}
}

// A certificate and a CA change under traffic: connections that are open go on,
// the next handshake has the new ones, and a bad file changes nothing.
func TestFilesChangeUnderTraffic(t *testing.T) {
	first, second := linktest.NewCA(t, "first"), linktest.NewCA(t, "second")
	hubDir, sidecarDir := t.TempDir(), t.TempDir()
	one := first.Issue(t, hubLeaf)
	hub, log := open(t, linktest.Write(t, hubDir, one, first))
	sidecar, _ := open(t, linktest.Write(t, sidecarDir, first.Issue(t, sidecarLeaf), first, second))
	run(t, hub)
	run(t, sidecar)
	address := serveTLS(t, hub.ServerTLS(list(t, "spiffe://td/sidecar/*")))
	config := sidecar.ClientTLS(address, list(t, "spiffe://td/hub"))

	held, err := dial(t, address, config)
	if err != nil {
		t.Fatal(err)
	}
	goesOn := func() {
		t.Helper()
		if who, err := held.whoAmI(); err != nil || who != "spiffe://td/sidecar/a" {
			t.Errorf("the connection that was open is of %q, %v", who, err)
		}
	}
	goesOn()
	serial := func() string {
		t.Helper()
		c, err := dial(t, address, config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.whoAmI(); err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	uses := func(p *linktest.Pair) func() bool {
		return func() bool { return serial() == p.Certificate.SerialNumber.String() }
	}
	if !uses(one)() {
		t.Fatal("another certificate than the one in the file")
	}

	two := first.Issue(t, hubLeaf)
	linktest.Write(t, hubDir, two, first)
	eventually(t, "the new certificate is used", uses(two))
	goesOn()
	// The certificate and its key came one after the other, which a busy machine may have seen.
	told, failures := log.count("can't be used"), reloads(t, hub, "failure")

	// Its key comes later, as when files are copied one by one.
	three := first.Issue(t, hubLeaf)
	if err := os.WriteFile(filepath.Join(hubDir, "tls.crt"), three.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a certificate without its key is told of", func() bool { return log.count("can't be used") == told+1 })
	if !uses(two)() || reloads(t, hub, "failure") != failures+1 {
		t.Errorf("a bad file put another certificate in use, or %g failures after %g aren't one more", reloads(t, hub, "failure"), failures)
	}
	if err := os.WriteFile(filepath.Join(hubDir, "tls.key"), three.KeyPEM(t), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the certificate is used once its key is there", uses(three))
	goesOn()
	if want := float64(three.Certificate.NotAfter.Unix()); metric(t, hub, "latchkey_certificate_expiry_timestamp_seconds", "") != want {
		t.Errorf("the metric of the expiry isn't %g", want)
	}

	// The hub comes to believe the second CA alone.
	linktest.Write(t, hubDir, three, second)
	eventually(t, "a client of the first CA is refused", func() bool {
		_, err := connect(t, address, config)
		return err != nil
	})
	goesOn()
	linktest.Write(t, sidecarDir, second.Issue(t, sidecarLeaf), first, second)
	eventually(t, "a client of the second CA is let in", func() bool {
		_, err := connect(t, address, config)
		return err == nil
	})
	goesOn()
	if got := reloads(t, hub, "failure"); got != failures+1 {
		t.Errorf("%g failures, want %g: %s", got, failures+1, log)
	}
}

// What changed between Open and Run isn't missed.
func TestFilesThatChangedBeforeRun(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	dir := t.TempDir()
	s, _ := open(t, linktest.Write(t, dir, ca.Issue(t, hubLeaf), ca))
	two := ca.Issue(t, hubLeaf)
	linktest.Write(t, dir, two, ca)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	eventually(t, "the certificate of now is in use", func() bool {
		return s.now.Load().leaf().SerialNumber.Cmp(two.Certificate.SerialNumber) == 0
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A file that stays bad is told of once, and so is that it is good again.
func TestABadFileIsToldOfOnce(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	config := linktest.Write(t, t.TempDir(), ca.Issue(t, hubLeaf), ca)
	s, log := open(t, config)
	good, err := os.ReadFile(config.GetCa())
	if err != nil {
		t.Fatal(err)
	}
	f := s.from.(*files)
	again := func() {
		t.Helper()
		if m, err := f.read(t.Context()); err != nil {
			s.failed(err)
		} else {
			s.take(m)
		}
	}
	for _, step := range []struct {
		content         []byte
		failures, again int
	}{
		{good, 0, 0}, {good[:100], 1, 0}, {good[:100], 1, 0}, {good, 1, 1}, {good, 1, 1}, {nil, 2, 1}, {good[:100], 2, 1}, {good, 2, 2},
	} {
		if err := os.WriteFile(config.GetCa(), step.content, 0o600); err != nil {
			t.Fatal(err)
		}
		again()
		if log.count("stay in use") != step.failures || log.count("used again") != step.again || reloads(t, s, "failure") != float64(step.failures) {
			t.Fatalf("after %d bytes: want %d failures and %d times good again:\n%s", len(step.content), step.failures, step.again, log)
		}
	}
	if reloads(t, s, "success") != 0 {
		t.Error("what didn't change was counted")
	}
}

// The kubelet swaps a link to a folder; the files themselves don't change.
func TestFilesBehindALinkAreFollowed(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	dir := t.TempDir()
	version := func(name string, p *linktest.Pair) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		linktest.Write(t, filepath.Join(dir, name), p, ca)
	}
	link := func(to, from string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	one, two := ca.Issue(t, hubLeaf), ca.Issue(t, hubLeaf)
	version("..one", one)
	link("..one", "..data")
	config := &configv1.TLS{}
	for file, field := range map[string]*string{"tls.crt": &config.Certificate, "tls.key": &config.Key, "ca.crt": &config.Ca} {
		link(filepath.Join("..data", file), file)
		*field = filepath.Join(dir, file)
	}
	s, _ := open(t, config)
	run(t, s)
	version("..two", two)
	link("..two", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the certificate behind the link is used", func() bool {
		return s.now.Load().leaf().SerialNumber.Cmp(two.Certificate.SerialNumber) == 0
	})
}
