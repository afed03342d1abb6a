//go:build linux

package netns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Weather is what becomes of packets on their way in one direction. The zero value is fair.
type Weather struct {
	// Loss is the part of packets that never come, from 0 to 1.
	Loss float64
	// Delay is how long each takes, and Jitter by how much that is more or less for each: packets overtake each other.
	Delay, Jitter time.Duration
}

// Network is hosts that reach each other. It is safe for concurrent use.
type Network struct {
	wires sync.WaitGroup

	mu      sync.Mutex
	rand    *rand.Rand
	hosts   map[netip.Addr]*Host
	weather map[way]Weather
}

// way is one direction between two hosts.
type way struct{ from, to netip.Addr }

// New returns a network without hosts, whose chances come from a seed. It returns ErrRefused where none can be made.
func New(seed uint64) (*Network, error) {
	probe, err := newHost(netip.AddrFrom4([4]byte{10, 77, 0, 254}))
	if err != nil {
		return nil, err
	}
	if err := probe.close(); err != nil {
		return nil, err
	}
	return &Network{rand: rand.New(rand.NewPCG(seed, 0x77)), hosts: map[netip.Addr]*Host{}, weather: map[way]Weather{}}, nil
}

// Join makes a host with an IPv4 address. All addresses of a network differ in their last byte alone.
func (n *Network) Join(addr netip.Addr) (*Host, error) {
	if !addr.Is4() {
		return nil, fmt.Errorf("a host has an IPv4 address, and not %s", addr)
	}
	h, err := newHost(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[addr] != nil {
		return nil, errors.Join(fmt.Errorf("there is a host with the address %s already", addr), h.close())
	}
	n.hosts[addr] = h
	n.wires.Go(func() { n.carry(h) })
	return h, nil
}

// Set decides the weather from one host to another, from the next packet on. Those that are under way come.
func (n *Network) Set(from, to *Host, w Weather) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.weather[way{from.addr, to.addr}] = w
}

// Between sets the weather in both directions.
func (n *Network) Between(a, b *Host, w Weather) {
	n.Set(a, b, w)
	n.Set(b, a, w)
}

// maxPacket is longer than any packet of a device.
const maxPacket = 64 << 10

// carry hands on what a host sends, until its wire is closed.
func (n *Network) carry(h *Host) {
	buffer := make([]byte, maxPacket)
	for {
		size, err := h.wire.Read(buffer)
		if err != nil {
			return
		}
		to, after, ok := n.route(buffer[:size], h)
		switch {
		case !ok:
		case after == 0:
			deliver(to, buffer[:size])
		default:
			packet := append([]byte(nil), buffer[:size]...)
			time.AfterFunc(after, func() { deliver(to, packet) })
		}
	}
}

// route returns where a packet goes, and when, if it does.
func (n *Network) route(packet []byte, from *Host) (to *Host, after time.Duration, ok bool) {
	const header = 20
	if len(packet) < header || packet[0]>>4 != 4 {
		return nil, 0, false
	}
	addr := netip.AddrFrom4([4]byte(packet[16:20]))
	n.mu.Lock()
	defer n.mu.Unlock()
	if to = n.hosts[addr]; to == nil {
		return nil, 0, false
	}
	w := n.weather[way{from.addr, addr}]
	if n.rand.Float64() < w.Loss {
		return nil, 0, false
	}
	after = w.Delay
	if w.Jitter > 0 {
		after += time.Duration(n.rand.Int64N(int64(2*w.Jitter))) - w.Jitter
	}
	return to, max(after, 0), true
}

// deliver gives a packet to a host. One that doesn't take it loses it, as on any network.
func deliver(to *Host, packet []byte) { _, _ = to.wire.Write(packet) }

// Close takes all wires down. The namespaces are gone with the last process that was started in them.
func (n *Network) Close() (err error) {
	n.mu.Lock()
	for _, h := range n.hosts {
		err = errors.Join(err, h.close())
	}
	n.hosts = map[netip.Addr]*Host{}
	n.mu.Unlock()
	n.wires.Wait()
	return err
}
