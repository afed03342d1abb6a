package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/plural"
	"github.com/latchkey/latchkey/internal/reload"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/observe"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
	"github.com/latchkey/latchkey/usage"
)

const (
	defaultData      = "./latchkey-data"
	defaultStaleness = "10m"
	unlimited        = "unlimited"
)

// config is what a sidecar goes by.
type config struct {
	hubs      []serve.Address
	data      string
	listen    serve.Address
	http      serve.Address
	settings  reload.Settings
	staleness time.Duration // 0: without limit
	name      string
	tls       *configv1.TLS // nil: nobody over TCP
	ids       link.Identities
	flush     time.Duration // how often usage is written down and reported
	observe   observe.Options

	from reload.Source[*configv1.Sidecar]
	said *configv1.Sidecar // file and flags

	acceptRollback bool // of the command line alone: it is for one start
}

func newCommand() *cobra.Command {
	flags := &configv1.Sidecar{}
	var file string
	var acceptRollback bool
	cmd := &cobra.Command{
		Use:   "latchkey-sidecar --hub ADDR [flags]",
		Short: "Check API keys beside Envoy, from a store that follows a hub",
		Long: `Answer Envoy's questions about requests (ext_authz over gRPC) from a store that
follows a hub (latchkey serve --hub-listen). What was revoked there is refused
here a moment later. Cut off from every hub it goes on answering for
--max-staleness, and with 503 from then on.

SIGHUP reads the configuration file again, which a change of it does too. SIGTERM
and SIGINT end the process once the requests in flight are answered; a second one
ends it at once.`,
		Example: `  latchkey-sidecar --hub unix:/run/latchkey/hub.sock --data /var/lib/latchkey
  latchkey-sidecar --config /etc/latchkey/sidecar.yaml --hub hub-0.latchkey:9443 --hub hub-1.latchkey:9443`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%s too many: everything is said by flags, or in --config", plural.Count(len(args), "argument"))
			}
			return checkPlaces(cmd.Flags())
		},
		Version:       serve.ThisBuild(version).Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := reload.Read(cmd.Context(), file, flags)
			if err != nil {
				return err
			}
			c, err := configure(from)
			if err != nil {
				return err
			}
			c.acceptRollback = acceptRollback
			current := reload.NewCurrent(c.settings)
			return runSidecar(cmd.Context(), c, serve.NewLog(cmd.ErrOrStderr(), current.Level()), current)
		},
	}
	cmd.SetFlagErrorFunc(flagError)
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration file; flags win over it")
	f.StringArrayVar(&flags.Hub, "hub", nil, "hub to follow, unix:PATH, or host:port with tls in --config; repeat it for more: the one that is furthest ahead is followed")
	f.StringVar(&flags.Data, "data", "", "folder of the replica (default "+defaultData+")")
	f.StringVar(&flags.Listen, "listen", "", "where Envoy calls Check, host:port or unix:PATH (default unix:<data>/authz.sock)")
	f.StringVar(&flags.Http, "http", "", "where metrics, profiles, the status and gRPC health are served, host:port (default "+serve.DefaultHTTP+")")
	f.StringVar(&flags.MaxStaleness, "max-staleness", "", "how long to answer without news of a hub, such as 90s, 10m or 1d, or "+unlimited+" (default "+defaultStaleness+")")
	f.StringVar(&flags.Name, "name", "", "name by which the hub shows this replica (default the host's)")
	f.BoolVar(&acceptRollback, "accept-rollback", false,
		"for one start: take a hub's world although it is older than this replica's; what that brings back to life is logged")
	f.Var(observe.DecisionLogFlag(&flags.DecisionLog), observe.Flag, observe.Usage)
	f.StringVar(&flags.UsageFlush, "usage-flush", "", "how often counts of the use of keys are written down and sent to the hub, from 1s to 1h (default 10s)")
	f.StringVar(&flags.LogLevel, "log-level", "", "least severe log lines that are written: debug, info, warn or error (default info)")
	f.StringVar(&flags.DrainDelay, "drain-delay", "", "how long to go on answering once it is told to stop and says so by its health, such as 5s (default 0s)")
	return cmd
}

// configure puts the defaults below what flags and file say.
func configure(from reload.Source[*configv1.Sidecar]) (*config, error) {
	read, said, err := from.Decode(func(file string, read *configv1.Sidecar) { link.Beside(file, read.Tls) })
	if err != nil {
		return nil, err
	}
	c := &config{
		data: filepath.Clean(cmp.Or(said.Data, defaultData)), name: said.Name, tls: read.Tls,
		from: from, said: said,
	}
	if c.settings, err = reload.ParseSettings(said); err != nil {
		return nil, usagef("%w", err)
	}
	if c.listen, err = serve.ParseAddress(cmp.Or(said.Listen, "unix:"+filepath.Join(c.data, "authz.sock"))); err != nil {
		return nil, usagef("--listen: %w", err)
	}
	if c.http, err = serve.ParseAddress(cmp.Or(said.Http, serve.DefaultHTTP)); err != nil {
		return nil, usagef("--http: %w", err)
	}
	if c.staleness, err = parseStaleness(cmp.Or(said.MaxStaleness, defaultStaleness)); err != nil {
		return nil, usagef("--max-staleness: %w", err)
	}
	if c.flush, err = strictyaml.ParseWithin(said.UsageFlush, usage.DefaultFlush, usage.MinFlush, usage.MaxFlush); err != nil {
		return nil, usagef("--usage-flush: %w", err)
	}
	if c.name == "" {
		if c.name, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("the host has no name (%w): say --name", err)
		}
	}
	if c.observe, err = observe.Configured(from.Flags, from.File, read); err != nil {
		return nil, usagef("%w", err)
	}
	return c, c.links(said)
}

// links reads which hubs to follow, and how they are known.
func (c *config) links(said *configv1.Sidecar) (err error) {
	if len(said.Hub) == 0 {
		return usagef("no hub is named: say --hub ADDR, the --hub-listen address of `latchkey serve`")
	}
	seen := map[serve.Address]bool{}
	for _, text := range said.Hub {
		hub, err := serve.ParseAddress(text)
		switch {
		case err != nil:
			return usagef("--hub: %w", err)
		case seen[hub]:
			return usagef("--hub: %s is named twice", hub)
		case !hub.IsUnix() && c.tls == nil:
			return usagef("--hub: %s is reached over TCP, and the configuration file (--config) lacks `tls`, which says who this process is and whom it believes: add that, or write unix:PATH", hub)
		}
		seen[hub] = true
		c.hubs = append(c.hubs, hub)
	}
	if c.tls != nil {
		if err := link.Check(c.tls); err != nil {
			return err
		}
	}
	c.ids, err = link.ParseIdentities("hub_identities", said.GetHubIdentities())
	return err
}

// parseStaleness reads a duration, or that there is none.
func parseStaleness(text string) (time.Duration, error) {
	if strings.EqualFold(text, unlimited) {
		return 0, nil
	}
	d, err := strictyaml.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%w, or %s", err, unlimited)
	}
	if d <= 0 || d > 366*24*time.Hour {
		return 0, errors.New("it must be more than 0 and at most a year: write " + unlimited + " to answer however old the store is")
	}
	return d, nil
}
