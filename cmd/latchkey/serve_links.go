package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/serve"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// links reads who the process is to others over TCP and whom it talks to. What
// is reached over TCP needs both.
func (c *serveConfig) links(read *configv1.Serve) (err error) {
	c.tls = read.GetTls()
	if c.tls != nil {
		if err := link.Check(c.tls); err != nil {
			return err
		}
	}
	if c.operators, err = link.ParseIdentities("operators", read.GetOperators()); err != nil {
		return err
	}
	if c.followers, err = link.ParseIdentities("followers", read.GetFollowers()); err != nil {
		return err
	}
	for _, one := range []struct {
		flag, list string
		at         serve.Address
		ids        link.Identities
	}{
		{"--admin", "operators", c.admin, c.operators},
		{"--hub-listen", "followers", c.hubListen, c.followers},
	} {
		if one.at == (serve.Address{}) || one.at.IsUnix() {
			continue
		}
		var missing []string
		if c.tls == nil {
			missing = append(missing, "`tls`, which says who the process is and whom it believes")
		}
		if one.ids.Empty() {
			missing = append(missing, "`"+one.list+"`, which says who may connect")
		}
		if len(missing) > 0 {
			return usagef("%s: %s is reached over TCP, and the configuration file (--config) lacks %s: add that, or write unix:PATH",
				one.flag, one.at, strings.Join(missing, ", and "))
		}
	}
	return nil
}

// openLink makes the process known to others, if it is to be.
func (p *process) openLink(ctx context.Context) (err error) {
	if p.config.tls == nil {
		return nil
	}
	if p.link, err = link.Open(ctx, p.config.tls, p.log); err != nil {
		return fmt.Errorf("opening the links to others: %w", err)
	}
	return nil
}

// adminHosts are the hosts under which the admin API is called over TCP: the
// names of the certificate, and of the address unless that is all of them.
func (p *process) adminHosts() []string {
	if p.link == nil || p.config.admin.IsUnix() {
		return nil
	}
	hosts := p.link.Names()
	if host, _, err := net.SplitHostPort(p.config.admin.String()); err == nil && host != "" && !net.ParseIP(host).IsUnspecified() {
		hosts = append(slices.Clone(hosts), strings.ToLower(host))
	}
	return hosts
}

// overTLS makes a server one of the admin API over TCP.
func (p *process) overTLS(s *http.Server) {
	s.TLSConfig = p.link.ServerTLS(p.operators, "h2", "http/1.1")
}
