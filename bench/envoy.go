package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/latchkey/latchkey/bench/proc"
	"github.com/latchkey/latchkey/bench/stock"
	"github.com/latchkey/latchkey/internal/envoytest"
)

//go:embed envoy.yaml.tmpl
var envoyText string

var envoyTemplate = template.Must(template.New("envoy").Parse(envoyText))

type envoyKey struct{ Client, Token string }

// envoyConfig is the configuration of an Envoy that answers what it lets through by
// itself, so that no upstream takes a part of the cores.
func envoyConfig(s *subject, socket string) ([]byte, error) {
	v := struct {
		Filter string
		Joined bool
		Socket string
		Keys   []envoyKey
	}{string(s.filter), s.joined, socket, nil}
	if s.filter == filterAPIKey {
		for n := range s.keys {
			v.Keys = append(v.Keys, envoyKey{fmt.Sprintf("client-%d", n), stock.Nth(n).Token})
		}
	}
	var out bytes.Buffer
	err := envoyTemplate.Execute(&out, v)
	return out.Bytes(), err
}

// findEnvoy makes out the Envoy binary, or says why there is none.
func (b *bench) findEnvoy() (err error) {
	if b.options.envoy == "" {
		b.options.envoy, err = envoytest.Find()
	}
	return err
}

// startEnvoy starts an Envoy in front of a subject and returns where it listens.
func (b *bench) startEnvoy(ctx context.Context, s *subject, socket string) (_ *proc.Child, _ address, err error) {
	config, err := envoyConfig(s, socket)
	if err != nil {
		return nil, address{}, err
	}
	file, admin := b.file("envoy-"+s.name+".yaml"), b.file("envoy-"+s.name+".admin")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, address{}, err
	}
	c, err := b.child("envoy", b.options.envoy, "--config-path", file, "--admin-address-path", admin,
		"--config-yaml", "admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }",
		"--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
	if err != nil {
		return nil, address{}, err
	}
	var at string
	err = c.Await(ctx, func() error {
		where, err := os.ReadFile(admin)
		if err != nil {
			return err
		}
		at, err = envoyListener(ctx, strings.TrimSpace(string(where)))
		return err
	})
	if err != nil {
		c.End()
		return nil, address{}, err
	}
	return c, address{"tcp", at}, nil
}

var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

// envoyListener returns the address of Envoy's one listener, once Envoy is ready.
func envoyListener(ctx context.Context, admin string) (string, error) {
	if _, err := adminPage(ctx, admin, "/ready"); err != nil {
		return "", err
	}
	text, err := adminPage(ctx, admin, "/listeners?format=json")
	if err != nil {
		return "", err
	}
	var page struct {
		Statuses []struct {
			Local struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal(text, &page); err != nil {
		return "", fmt.Errorf("envoy's listeners: %w", err)
	}
	if len(page.Statuses) != 1 || page.Statuses[0].Local.Socket.Port == 0 {
		return "", errors.New("envoy's listener isn't open yet")
	}
	socket := page.Statuses[0].Local.Socket
	return net.JoinHostPort(socket.Address, strconv.Itoa(socket.Port)), nil
}

func adminPage(ctx context.Context, admin, path string) (_ []byte, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+path, nil)
	if err != nil {
		return nil, err
	}
	a, err := adminClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Body.Close()) }()
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("envoy's %s answers %s", path, a.Status)
	}
	return io.ReadAll(a.Body)
}
