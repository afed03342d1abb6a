package link

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/latchkey/latchkey/internal/serve"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// Check returns what is wrong with a configuration, without reading what it
// names: it gives exactly one way, whole.
func Check(config *configv1.TLS) error {
	var given, missing []string
	for _, field := range []struct{ name, value, is string }{
		{"certificate", config.GetCertificate(), "the PEM file of the certificate"},
		{"key", config.GetKey(), "the PEM file of its private key"},
		{"ca", config.GetCa(), "the PEM file of the CAs that vouch for others"},
	} {
		if field.value == "" {
			missing = append(missing, fmt.Sprintf("tls.%s is missing: name %s", field.name, field.is))
		} else {
			given = append(given, "tls."+field.name)
		}
	}
	switch {
	case config.GetWorkloadApi() != "" && len(given) > 0:
		return fmt.Errorf("tls.workload_api and %s exclude each other: give the address of the Workload API or the three files", strings.Join(given, ", "))
	case config.GetWorkloadApi() != "":
		_, err := workloadAddress(config.GetWorkloadApi())
		return err
	case len(given) == 0:
		return errors.New("tls is missing or empty: give certificate, key and ca, or workload_api")
	case len(missing) > 0:
		return errors.New(strings.Join(missing, "; "))
	}
	return nil
}

// workloadAddress reads the address of a Workload API.
func workloadAddress(text string) (serve.Address, error) {
	address, err := serve.ParseAddress(text)
	switch {
	case err != nil:
		return address, fmt.Errorf("tls.workload_api: %w", err)
	case !address.IsUnix():
		return address, fmt.Errorf("tls.workload_api: %q is no Unix socket, and over TCP nobody knows who asks: write unix:PATH", text)
	}
	return address, nil
}

// Beside puts the files of a configuration where they are relative to: beside
// the configuration file.
func Beside(file string, t *configv1.TLS) {
	if t == nil {
		return
	}
	for _, path := range []*string{&t.Certificate, &t.Key, &t.Ca} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(filepath.Dir(file), *path)
		}
	}
}
