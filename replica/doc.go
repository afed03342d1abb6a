// Package replica moves a store from a hub to its replicas, by position, and says who has it.
//
// # The protocol
//
// A replica opens one stream (latchkey.replica.v1) and says where its store is. The hub goes on from there: with the
// entries of its log that follow, or, where the log doesn't lead on from there, with a snapshot. The replica applies
// what comes durably, and acknowledges it. Apart from that it asks whether it is up to date, again and again: an
// answer at its very position proves it, and it may answer requests for a while from when it asked: its lease. The hub
// keeps count of leases, and so can say of a write which replicas know it for good, and when those that don't can't
// answer any more: a receipt. docs/replication.md tells all of it in prose, with what is promised and what isn't.
//
// # The parts
//
// State (a replica's side) and Peer (a hub's) are the core: plain values without clock, disk or network, which the
// tests drive through every order of what may happen. Around them:
//
//	Hub       hub.go, members.go, roster.go: who follows, and may hold a lease; on disk before one is given out
//	          hello.go, subscription.go, senders.go: streams, fed by a few senders that wait for nobody
//	          feed.go, spool.go, sendsnapshot.go: what is sent, read and encoded once for all
//	          receipt.go: who knows a write
//	          usage.go: what replicas counted, on its way to the hub
//	Follower  follower.go, choose.go, goover.go: sessions with the best of several hubs
//	          connection.go, applying.go, fetch.go: one session
//	          remember.go: the lease, as the next process finds it
//
// # What holds
//
// Positions are compared as a whole: epoch, revision and digest. A replica never goes back by itself, nor over to a
// store of another origin, nor to a world in which a key is live that it knows to be revoked. A hub waits for no
// replica: there is no queue for each, and no transaction of the store is held while something is sent.
package replica
