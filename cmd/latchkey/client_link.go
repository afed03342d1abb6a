package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// linkTime bounds how long a command waits for its certificate and for a
// handshake.
const linkTime = 10 * time.Second

// clientLink is the flags by which a command reaches an admin API over TCP.
type clientLink struct {
	file             string
	tls              configv1.TLS
	serverIdentities []string

	read *configv1.Client // the file, or nothing
}

func (l *clientLink) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.file, "client-config", "", "configuration file of commands, for --admin host:port (default $LATCHKEY_CLIENT); flags win over it")
	f.StringVar(&l.tls.Certificate, "tls-certificate", "", "PEM file of the certificate to show, for --admin host:port")
	f.StringVar(&l.tls.Key, "tls-key", "", "PEM file of its private key")
	f.StringVar(&l.tls.Ca, "tls-ca", "", "PEM file of the CAs that vouch for the process")
	f.StringArrayVar(&l.serverIdentities, "tls-server-identity", nil, "SPIFFE id or DNS name that the process has to have; repeat it for more (default the host of --admin)")
}

// load reads the configuration file of commands, if one is named.
func (l *clientLink) load(ctx context.Context) error {
	l.read = &configv1.Client{}
	file := cmp.Or(l.file, os.Getenv("LATCHKEY_CLIENT"))
	if file == "" {
		return nil
	}
	src, err := unlessInterrupted(ctx, func() ([]byte, error) { return strictyaml.ReadFile(file) })
	if err != nil {
		return fmt.Errorf("reading the configuration of commands: %w", err)
	}
	if _, err := strictyaml.Decode(file, src, l.read); err != nil {
		return err
	}
	link.Beside(file, l.read.Tls)
	return nil
}

// named returns the address that the command line, the configuration file or
// the environment names, or nothing. What was said for this command wins over
// what the environment says for all.
func (c *client) named(cmd *cobra.Command) string {
	if cmd.Flags().Changed("admin") {
		return c.admin
	}
	if c.link.file != "" && c.link.read.GetAdmin() != "" {
		return c.link.read.GetAdmin()
	}
	return cmp.Or(os.Getenv("LATCHKEY_ADMIN"), c.link.read.GetAdmin())
}

// clientTLS returns the configuration of a connection to an address over TCP.
func (l *clientLink) clientTLS(ctx context.Context, address serve.Address, stderr io.Writer) (*tls.Config, error) {
	config, given := l.read.GetTls(), false
	if config == nil {
		config = &configv1.TLS{}
	}
	for _, flag := range []struct {
		value string
		into  *string
	}{{l.tls.Certificate, &config.Certificate}, {l.tls.Key, &config.Key}, {l.tls.Ca, &config.Ca}} {
		if flag.value != "" {
			*flag.into, given = flag.value, true
		}
	}
	if given {
		config.WorkloadApi = "" // the flags say another way
	}
	if err := link.Check(config); err != nil {
		return nil, usagef("--admin: %s is reached over TCP, with a certificate: give --tls-certificate, --tls-key and --tls-ca, or `tls` in a file named by --client-config or LATCHKEY_CLIENT: %w", address, err)
	}
	field, texts := "server_identities", l.read.GetServerIdentities()
	if len(l.serverIdentities) > 0 {
		field, texts = "--tls-server-identity", l.serverIdentities
	}
	ids, err := link.ParseIdentities(field, texts)
	if err != nil {
		return nil, usagef("%w", err)
	}
	log := serve.NewLog(stderr, slog.LevelWarn)
	ctx, cancel := context.WithTimeout(ctx, linkTime)
	defer cancel()
	source, err := link.Open(ctx, config, log)
	if err != nil {
		return nil, err
	}
	made := source.ClientTLS(address.String(), link.NewAllowList(ids))
	made.NextProtos = nil // http.Transport says what it speaks
	return made, nil
}

// explainLink puts the error of a connection over TCP into words, or returns nil.
func (c *client) explainLink(err error) error {
	var alert *net.OpError
	switch {
	case errors.Is(err, link.ErrNotBelieved):
		return fmt.Errorf("what answers at %s isn't the process to be asked: see --tls-ca and --tls-server-identity: %w", c.admin, err)
	case errors.As(err, &alert) && alert.Op == "remote error":
		return fmt.Errorf("%s refused the certificate of this command: it has to be in date, of a CA that the process believes, and of one of its `operators`; the log of the process tells more (%w)", c.admin, alert.Err)
	}
	return nil
}
