package main

import (
	"cmp"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/reload"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/observe"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
	"github.com/latchkey/latchkey/usage"
)

// serveConfig is what `latchkey serve` goes by.
type serveConfig struct {
	policies []string // files and folders
	data     string
	listen   serve.Address
	admin    serve.Address
	http     serve.Address
	settings reload.Settings

	hubListen serve.Address // the zero one: nowhere
	tls       *configv1.TLS // nil: nobody over TCP
	operators link.Identities
	followers link.Identities

	usageFlush  time.Duration // how often usage is written down
	usageHourly time.Duration // how long it is kept by the hour

	observe observe.Options
	from    reload.Source[*configv1.Serve]
	said    *configv1.Serve // file and flags

	acceptRollback bool // of the command line alone: it is for one start
}

func newServe() *cobra.Command {
	flags := &configv1.Serve{}
	var file string
	var acceptRollback bool
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Answer Envoy, and keep keys, directory and policies",
		Long: `Answer Envoy's questions about requests (ext_authz over gRPC), and keep the keys,
the directory and the policies that the answers follow from.

SIGHUP reads the configuration file and the policy files again, which changes of
the files do too. SIGTERM and SIGINT end the process once the requests in flight
are answered; a second one ends it at once.`,
		Example: "  latchkey serve --policy /etc/latchkey/policies --data /var/lib/latchkey",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := reload.Read(cmd.Context(), file, flags)
			if err != nil {
				return err
			}
			config, err := configure(from)
			if err != nil {
				return err
			}
			config.acceptRollback = acceptRollback
			current := reload.NewCurrent(config.settings)
			return runServe(cmd.Context(), config, serve.NewLog(cmd.ErrOrStderr(), current.Level()), current)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration file; flags win over it")
	f.StringArrayVar(&flags.Policy, "policy", nil, "policy file, or folder of *.yaml; repeat it for more")
	f.StringVar(&flags.Data, "data", "", "folder of the store (default "+defaultData+")")
	f.StringVar(&flags.Listen, "listen", "", "where Envoy calls Check, host:port or unix:PATH (default unix:<data>/authz.sock)")
	f.StringVar(&flags.Admin, "admin", "", "where the admin API listens, unix:PATH, or host:port with tls and operators in --config (default unix:<data>/admin.sock)")
	f.StringVar(&flags.Http, "http", "", "where metrics, profiles and gRPC health are served, host:port (default "+serve.DefaultHTTP+")")
	f.StringVar(&flags.HubListen, "hub-listen", "", "where replicas connect, unix:PATH, or host:port with tls and followers in --config (default nowhere)")
	f.BoolVar(&acceptRollback, "accept-rollback", false,
		"for one start: go on from a store that is older than what was acknowledged, or isn't known to be the newest; what is known to have been revoked stays so")
	f.Var(observe.DecisionLogFlag(&flags.DecisionLog), observe.Flag, observe.Usage)
	f.StringVar(&flags.UsageFlush, "usage-flush", "", "how often counts of the use of keys are written down, from 1s to 1h (default 10s)")
	f.StringVar(&flags.UsageHourly, "usage-hourly", "", "how long they are kept by the hour, from 1d to 90d; by the day from then on (default 7d)")
	f.StringVar(&flags.LogLevel, "log-level", "", "least severe log lines that are written: debug, info, warn or error (default info)")
	f.StringVar(&flags.DrainDelay, "drain-delay", "", "how long to go on answering once it is told to stop and says so by its health, such as 5s (default 0s)")
	return cmd
}

// configure puts the defaults below what flags and file say.
func configure(from reload.Source[*configv1.Serve]) (*serveConfig, error) {
	read, said, err := from.Decode(func(file string, read *configv1.Serve) {
		for i, path := range read.Policy {
			if !filepath.IsAbs(path) {
				read.Policy[i] = filepath.Join(filepath.Dir(file), path)
			}
		}
		link.Beside(file, read.Tls)
	})
	if err != nil {
		return nil, err
	}
	c := &serveConfig{
		policies: said.Policy, data: filepath.Clean(cmp.Or(said.Data, defaultData)),
		from: from, said: said,
	}
	if c.settings, err = reload.ParseSettings(said); err != nil {
		return nil, usagef("%w", err)
	}
	in := func(name string) string { return "unix:" + filepath.Join(c.data, name) }
	for _, one := range []struct {
		flag, text string
		into       *serve.Address
	}{
		{"--listen", cmp.Or(said.Listen, in("authz.sock")), &c.listen},
		{"--admin", cmp.Or(said.Admin, in("admin.sock")), &c.admin},
		{"--http", cmp.Or(said.Http, serve.DefaultHTTP), &c.http},
	} {
		if *one.into, err = serve.ParseAddress(one.text); err != nil {
			return nil, usagef("%s: %w", one.flag, err)
		}
	}
	if at := said.HubListen; at != "" {
		if c.hubListen, err = serve.ParseAddress(at); err != nil {
			return nil, usagef("--hub-listen: %w", err)
		}
	}
	if c.usageFlush, err = strictyaml.ParseWithin(said.UsageFlush, usage.DefaultFlush, usage.MinFlush, usage.MaxFlush); err != nil {
		return nil, usagef("--usage-flush: %w", err)
	}
	if c.usageHourly, err = strictyaml.ParseWithin(said.UsageHourly, usage.DefaultHourly, usage.MinHourly, usage.MaxHourly); err != nil {
		return nil, usagef("--usage-hourly: %w", err)
	}
	if c.observe, err = observe.Configured(from.Flags, from.File, read); err != nil {
		return nil, usagef("%w", err)
	}
	return c, c.links(read)
}
