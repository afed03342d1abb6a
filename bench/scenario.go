package main

import "fmt"

// way is how a subject is reached.
type way string

// The ways.
const (
	unixSocket way = "unix"
	tcpSocket  way = "tcp"
	viaEnvoy   way = "envoy" // HTTP/1.1 to an Envoy, which asks over a Unix socket
)

var ways = []way{unixSocket, tcpSocket, viaEnvoy}

// scenario is one kind of load.
type scenario struct {
	way         way
	connections int
	inFlight    int // closed loop
	rate        int // open loop, a second; 0 for none
	quick       bool
	chart       bool
}

// scenarios are all kinds of load. Through Envoy a connection has one request, so there
// the number of clients says it all.
func scenarios() []scenario {
	var all []scenario
	for _, way := range []way{unixSocket, tcpSocket} {
		for _, inFlight := range []int{1, 16, 64, 256} {
			all = append(all, scenario{way: way, connections: 1, inFlight: inFlight, quick: inFlight == 64 || inFlight == 1 && way == unixSocket, chart: inFlight == 64 && way == unixSocket})
		}
		for _, inFlight := range []int{16, 64, 256} {
			all = append(all, scenario{way: way, connections: 4, inFlight: inFlight, quick: inFlight == 16 && way == unixSocket})
		}
		all = append(all, scenario{way: way, connections: 16, inFlight: 64})
		for _, rate := range []int{2000, 5000} {
			for _, connections := range []int{1, 4} {
				all = append(all, scenario{way: way, connections: connections, rate: rate, quick: rate == 2000 && connections == 1 && way == unixSocket})
			}
		}
	}
	for _, clients := range []int{1, 16, 64, 256} {
		all = append(all, scenario{way: viaEnvoy, connections: clients, inFlight: clients, quick: clients == 64, chart: clients == 64})
	}
	for _, rate := range []int{1000, 3000} {
		all = append(all, scenario{way: viaEnvoy, connections: 64, rate: rate, quick: rate == 1000})
	}
	return all
}

// name is what -only is held against.
func (s scenario) name() string {
	load := fmt.Sprintf("%d", s.inFlight)
	if s.rate > 0 {
		load = fmt.Sprintf("%d-per-second", s.rate)
	}
	if s.way == viaEnvoy {
		return fmt.Sprintf("%s/%s", s.way, load)
	}
	return fmt.Sprintf("%s/%d-conn/%s", s.way, s.connections, load)
}

func (s scenario) about() string {
	where := map[way]string{unixSocket: "directly, over a Unix socket", tcpSocket: "directly, over TCP", viaEnvoy: "through Envoy, HTTP/1.1"}[s.way]
	load := fmt.Sprintf("%d in flight", s.inFlight)
	if s.rate > 0 {
		load = fmt.Sprintf("%d a second (open loop)", s.rate)
	}
	connections := "1 connection"
	if s.connections > 1 {
		connections = fmt.Sprintf("%d connections", s.connections)
	}
	return fmt.Sprintf("%s, %s, %s", where, connections, load)
}
