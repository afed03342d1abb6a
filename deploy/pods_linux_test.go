package deploy_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey/latchkey/internal/link/linktest"
	"github.com/latchkey/latchkey/internal/netns"
)

// podsOf runs the pods of the examples from their manifests, as they are: a hub, and an application with both halves beside it.
func podsOf(t *testing.T, b *builder, runc string, names map[string]string) {
	network, err := netns.New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	join := func(last byte) *netns.Host {
		h, err := network.Join(netip.AddrFrom4([4]byte{10, 77, 0, last}))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	k := newKubelet(t, b, runc, names, join(1))
	hubHost, apiHost := join(2), join(3)
	k.resolve(t, "latchkey-hub.latchkey.svc", hubHost)
	ca := linktest.NewCA(t, "mesh")
	hub := k.start(t, rulesOf(t, "example/hub"), rulesOf(t, "example/hub").find("StatefulSet", "latchkey-hub"), hubHost,
		map[string]string{"latchkey-hub-tls": secretOf(t, ca, "latchkey-hub.latchkey.svc")})
	api := rulesOf(t, "example/api")
	pod := k.start(t, api, api.find("Deployment", "notes"), apiHost, map[string]string{"latchkey-follower-tls": secretOf(t, ca, "latchkey-follower")})

	t.Run("confined", func(t *testing.T) {
		confined(t, hub.containers["latchkey"], user)
		confined(t, pod.containers["latchkey"], user)
		confined(t, pod.containers["envoy"], user+1)
		socket, err := os.Stat(filepath.Join(pod.volumes["latchkey-socket"], "authz.sock"))
		if err != nil {
			t.Fatal(err)
		}
		if of := socket.Sys().(*syscall.Stat_t); socket.Mode().Perm() != 0o660 || of.Uid != user || of.Gid != user {
			t.Errorf("the socket is of %d:%d, %s", of.Uid, of.Gid, socket.Mode())
		}
		const told = `"memory","limit":"%s","from":"container"`
		for limit, r := range map[string]*running{"921 MiB": hub.containers["latchkey"], "230 MiB": pod.containers["latchkey"]} {
			if want, said := fmt.Sprintf(told, limit), readFile(t, r.log); !strings.Contains(said, want) {
				t.Errorf("%s doesn't go by the limit of its container: want %s in\n%s", r.name, want, said)
			}
		}
	})
	t.Run("requests", func(t *testing.T) { requests(t, hub, pod) })
	t.Run("end", func(t *testing.T) { ends(t, hub, pod) })
}

// rulesOf returns the objects of an overlay.
func rulesOf(t *testing.T, overlay string) *rules {
	t.Helper()
	all, err := readFiles(t).render(overlay, map[string]bool{})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(all)
	if err != nil {
		t.Fatal(err)
	}
	return &rules{all: objects}
}

// secretOf makes a certificate for a DNS name, and returns its folder.
func secretOf(t *testing.T, ca *linktest.CA, name string) string {
	t.Helper()
	dir := t.TempDir()
	linktest.Write(t, dir, ca.Issue(t, linktest.Leaf{DNSNames: []string{name}}), ca)
	return dir
}
