// Package netns gives each process under test a network of its own, joined by wires whose weather a test decides: how many
// packets are lost, how late they come, and whether any come at all, in each direction apart.
//
//	n, err := netns.New(seed)
//	if errors.Is(err, netns.ErrRefused) {
//		t.Skip(err)
//	}
//	defer n.Close()
//	hub, err := n.Join(netip.MustParseAddr("10.77.0.1"))
//	pod, err := n.Join(netip.MustParseAddr("10.77.0.2"))
//	err = hub.Start(exec.Command("latchkey", "serve", …))
//	n.Set(hub, pod, netns.Weather{Loss: 1}) // the pod hears nothing more of the hub
//
// A host is a network namespace with one TUN device, and the other end of each device is this process: it hands every
// packet on by itself. So neither a bridge nor netem is asked for, which not every kernel has; a namespace has no
// name; and nothing of it outlives the processes, whatever becomes of the test.
//
// Linux, as root.
package netns
