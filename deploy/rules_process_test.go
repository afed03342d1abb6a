package deploy_test

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// configuration returns the text of a file that a container reads; nil where there is none, which is a mistake.
func (r *rules) configuration(place, file string, mounts []mount) []byte {
	for _, m := range mounts {
		if m.at == path.Dir(file) && m.config != nil && m.config.Data[path.Base(file)] != "" {
			return []byte(m.config.Data[path.Base(file)])
		}
	}
	r.wrong("%s reads %q, which is in none of its ConfigMaps", place, file)
	return nil
}

// inVolume returns which volume a path is in, and where; empty for none.
func inVolume(mounts []mount, name string) string {
	for _, m := range mounts {
		if m.at == path.Dir(name) {
			return m.volume + "/" + path.Base(name)
		}
	}
	return ""
}

// process holds a container of ours against the configuration that it reads, and returns where Envoy reaches it.
func (r *rules) process(place string, c *container, mounts []mount) (where string) {
	file := ""
	for _, a := range c.Args {
		file, _ = strings.CutPrefix(a, "--config=")
	}
	text := r.configuration(place, file, mounts)
	if text == nil {
		return ""
	}
	var http string
	var err error
	addresses := map[string]string{} // by the port that they are
	if slices.Contains(c.Args, "serve") {
		m := &configv1.Serve{}
		if _, err = strictyaml.Decode(file, text, m); err == nil {
			http, addresses["hub"] = m.GetHttp(), m.GetHubListen()
			r.reads(place, mounts, m.GetData(), m.GetTls(), m.GetPolicy()...)
			r.identities(place, "followers", m.GetFollowers())
			if m.GetAdmin() != "" || len(m.GetOperators()) > 0 {
				r.wrong("%s opens the admin API to the network", place)
			}
		}
	} else {
		m := &configv1.Sidecar{}
		if _, err = strictyaml.Decode(file, text, m); err == nil {
			http = m.GetHttp()
			r.reads(place, mounts, m.GetData(), m.GetTls())
			socket := strings.TrimPrefix(m.GetListen(), "unix:")
			where = inVolume(mounts, socket)
			r.writes(place, mounts, socket)
			for _, hub := range m.GetHub() {
				if _, err := serve.ParseAddress(hub); err != nil {
					r.wrong("%s: hub: %v", place, err)
				}
			}
		}
	}
	if err != nil {
		r.wrong("%s: %v", place, err)
		return ""
	}
	port := "http"
	if len(addresses) == 0 {
		port = "latchkey-http"
	}
	addresses[port] = http
	for name, at := range addresses {
		if _, err := serve.ParseAddress(at); err != nil || at != ":"+strconv.Itoa(c.port(name)) {
			r.wrong("%s listens on %q, and its port %s is %d", place, at, name, c.port(name))
		}
	}
	r.probes(place, c, c.port(port))
	return where
}

// probes ask for health that the process tells of, where it does.
func (r *rules) probes(place string, c *container, port int) {
	for name, p := range map[string]*probe{"startup": c.Startup, "liveness": c.Liveness, "readiness": c.Readiness} {
		services := map[string][]string{
			"startup": {serve.Startup, serve.Liveness}, "liveness": {serve.Liveness}, "readiness": {serve.Readiness},
		}[name]
		if p == nil || p.GRPC == nil {
			r.wrong("%s: its %s probe isn't one of gRPC health", place, name)
			continue
		}
		if p.GRPC.Port != port || !slices.Contains(services, p.GRPC.Service) {
			r.wrong("%s: its %s probe asks port %d for %q", place, name, p.GRPC.Port, p.GRPC.Service)
		}
	}
}

// reads: what a configuration names is there.
func (r *rules) reads(place string, mounts []mount, data string, tls *configv1.TLS, folders ...string) {
	r.writes(place, mounts, data)
	if err := link.Check(tls); err != nil {
		r.wrong("%s: %v", place, err)
	}
	for _, file := range []string{tls.GetCertificate(), tls.GetKey(), tls.GetCa()} {
		if !slices.ContainsFunc(mounts, func(m mount) bool { return m.at == path.Dir(file) && slices.Contains(m.files, path.Base(file)) }) {
			r.wrong("%s: there is no file %s", place, file)
		}
	}
	for _, folder := range folders {
		if !slices.ContainsFunc(mounts, func(m mount) bool { return m.at == folder && m.files != nil }) {
			r.wrong("%s: there is no folder %s", place, folder)
		}
	}
}

// writes: a path lies below a volume that can be written to.
func (r *rules) writes(place string, mounts []mount, name string) {
	if !slices.ContainsFunc(mounts, func(m mount) bool { return m.at == path.Dir(name) && m.files == nil }) {
		r.wrong("%s can't write %q: it is right below no volume", place, name)
	}
}

func (r *rules) identities(place, field string, texts []string) {
	ids, err := link.ParseIdentities(field, texts)
	if err != nil || ids.Empty() {
		r.wrong("%s: %s: nobody may follow, or %v", place, field, err)
	}
}
