package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/latchkey/latchkey/envoyconf"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

// envoyConfig is the flags of `envoy config`.
type envoyConfig struct {
	listen, upstream, upstreamGRPC, authz, admin string
	name, part                                   string
	pins                                         []string
	own                                          []string // names of the flags that say what is printed
	config                                       envoyconf.Config
}

func newEnvoyConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config [PATH...] [flags]",
		Short: "Print the configuration of an Envoy that asks Latchkey about every request",
		Long: `Print a whole configuration for Envoy, hardened, with the reason beside each setting: Envoy shows Latchkey
the headers that the policies read, and no others. They are those of the files and folders named, or, without
any, those that a running process has in use (--admin). Whoever has a configuration already takes a part of it,
by --part, and lets ` + "`latchkey envoy lint`" + ` look at the whole.`,
		Example: `  latchkey envoy config examples/kodey/policy.yaml --upstream api.internal:8080 >envoy.yaml
  latchkey envoy config --part filter`,
	}
	var e envoyConfig
	f := cmd.Flags()
	f.StringVar(&e.listen, "listen", "127.0.0.1:10000", "where clients connect to Envoy: IP:PORT, 0.0.0.0:PORT for every address of the machine")
	f.StringVar(&e.upstream, "upstream", "127.0.0.1:8080", "where the API is, which gets what passes: host:port or unix:PATH")
	f.StringVar(&e.upstreamGRPC, "upstream-grpc", "", "where gRPC requests go instead, over HTTP/2 in clear text: host:port or unix:PATH")
	f.StringVar(&e.authz, "authz", "unix:latchkey-data/authz.sock", "where Latchkey listens (its --listen): unix:PATH or a loopback host:port")
	f.DurationVar(&e.config.CheckTimeout, "check-timeout", 500*time.Millisecond, "how long Envoy waits for Latchkey before it answers 503")
	f.StringVar(&e.admin, "envoy-admin", "", "where Envoy's own admin interface listens: unix:PATH or a loopback host:port (default: it has none)")
	f.StringVar(&e.config.TLS.Certificate, "listen-certificate", "", "file with the certificate that Envoy shows to clients, as Envoy reads it")
	f.StringVar(&e.config.TLS.Key, "listen-key", "", "file with its key")
	f.StringVar(&e.config.TLS.ClientCA, "listen-client-ca", "", "file with the CA that vouches for clients, who then need certificates of their own")
	f.StringArrayVar(&e.pins, "pin", nil, "HOST=POLICY or HOST=POLICY/ENVIRONMENT: requests for the host are that policy's, whatever hosts it claims; may be repeated")
	f.StringVar(&e.name, "name", "", "name of the listener and of its statistics (default: the policy's, where there is one)")
	f.StringVar(&e.part, "part", string(envoyconf.All), "what to print: all, listener, filter or cluster")
	f.VisitAll(func(f *pflag.Flag) { e.own = append(e.own, f.Name) })
	addClientIn(cmd, addOutput(cmd, "yaml", "json"), func(cmd *cobra.Command, c *client, args []string) error {
		policies, err := policiesNamed(cmd, c, args)
		if err != nil {
			return err
		}
		if err := e.resolve(cmd, args, policies); err != nil {
			return err
		}
		text, err := envoyconf.Write(e.config, envoyconf.Part(e.part))
		if err != nil {
			return usagef("%w", err)
		}
		if c.json() {
			tree, err := strictyaml.ReadTree("", text)
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), tree.JSON())
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	})
	return cmd
}

// readPolicy is what Envoy must know of a policy.
type readPolicy struct {
	name         string
	environments []string
	reads        envoyconf.Reads
}

// policiesNamed are the policies of files, or, where none is named, those in use.
func policiesNamed(cmd *cobra.Command, c *client, paths []string) ([]readPolicy, error) {
	var all []readPolicy
	if len(paths) > 0 {
		loaded, err := loadPolicies(cmd, paths...)
		for _, l := range loaded {
			all = append(all, readPolicy{l.Policy.Name(), l.Policy.Environments(), envoyconf.ReadsOf(l.Policy)})
		}
		return all, err
	}
	inUse, err := c.listPolicies(cmd)
	if err != nil {
		return nil, fmt.Errorf("no policy is named, and those in use can't be asked for: name files, or the process by --admin: %w", c.explain(err))
	}
	for _, p := range inUse {
		all = append(all, readPolicy{p.GetName(), p.GetEnvironments(), envoyconf.Reads{
			Credentials: p.GetCredentialHeaders(), Tenants: p.GetTenantHeaders(), Preflight: p.GetPreflight(),
		}})
	}
	if len(all) == 0 {
		return nil, errors.New("the process has no policy in use: name files of policies")
	}
	return all, nil
}

// resolve makes the configuration of the flags.
func (e *envoyConfig) resolve(cmd *cobra.Command, args []string, policies []readPolicy) error {
	if !slices.Contains(envoyconf.Parts, envoyconf.Part(e.part)) {
		return usagef("the value of --part is wrong: write all, listener, filter or cluster")
	}
	c := &e.config
	for _, a := range []struct {
		flag, text string
		into       **serve.Address
		needed     *serve.Address
	}{
		{"listen", e.listen, nil, &c.Listen},
		{"upstream", e.upstream, nil, &c.Upstream},
		{"authz", e.authz, nil, &c.Authz},
		{"upstream-grpc", e.upstreamGRPC, &c.UpstreamGRPC, nil},
		{"envoy-admin", e.admin, &c.Admin, nil},
	} {
		if a.into != nil && a.text == "" {
			continue
		}
		address, err := serve.ParseAddress(a.text)
		if err != nil {
			return usagef("--%s: %w", a.flag, err)
		}
		if a.into != nil {
			*a.into = &address
		} else {
			*a.needed = address
		}
	}
	for _, text := range e.pins {
		pin, err := readPin(text, policies)
		if err != nil {
			return err
		}
		c.Pins = append(c.Pins, pin)
	}
	for _, p := range policies {
		c.Reads = c.Reads.With(p.reads)
		c.Policies = append(c.Policies, p.name)
	}
	if c.Name = e.name; c.Name == "" {
		c.Name = "latchkey"
		if len(policies) == 1 {
			c.Name = policies[0].name
		}
	}
	c.Command = e.commandLine(cmd, args)
	return nil
}

// readPin reads HOST=POLICY or HOST=POLICY/ENVIRONMENT.
func readPin(text string, policies []readPolicy) (envoyconf.Pin, error) {
	host, to, ok := strings.Cut(text, "=")
	name, environment, _ := strings.Cut(to, "/")
	if !ok || host == "" || name == "" || strings.ContainsAny(host, ":/ ") {
		return envoyconf.Pin{}, usagef("--pin: write HOST=POLICY or HOST=POLICY/ENVIRONMENT, the host without a port")
	}
	var names []string
	for _, p := range policies {
		names = append(names, p.name)
		if p.name != name {
			continue
		}
		if environment != "" && !slices.Contains(p.environments, environment) {
			return envoyconf.Pin{}, usagef("--pin: the policy %s has no environment %q: it has %s", name, environment, strings.Join(p.environments, ", "))
		}
		return envoyconf.Pin{Host: strings.ToLower(host), Policy: name, Environment: environment}, nil
	}
	return envoyconf.Pin{}, usagef("--pin: there is no policy %q: there is %s", name, strings.Join(names, ", "))
}

// wordlike is text that a shell takes as it is.
var wordlike = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// commandLine is the command as it was given, so that who finds its output can print it again: the whole, as YAML, which is
// what is kept in a file. How a process was asked is of one machine.
func (e *envoyConfig) commandLine(cmd *cobra.Command, args []string) string {
	line := append([]string{cmd.CommandPath()}, args...)
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "part" || !slices.Contains(e.own, f.Name) {
			return
		}
		values := []string{f.Value.String()}
		if many, ok := f.Value.(pflag.SliceValue); ok {
			values = many.GetSlice()
		}
		for _, v := range values {
			line = append(line, "--"+f.Name, v)
		}
	})
	for i, word := range line {
		if i > 0 && !wordlike.MatchString(word) {
			line[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(line, " ")
}
