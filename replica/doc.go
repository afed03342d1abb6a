// Package replica moves a store from a hub to its replicas, by position.
//
// docs/replication.md tells the protocol in prose. State is a replica's side of it and Peer a hub's: plain values
// without clock, disk or network. Hub and Follower put them to work.
package replica
