// Package load drives a server with requests that were encoded beforehand, and
// measures how long each answer takes.
//
// It shares the machine's cores with the server, so it must cost little: one
// thread waits for all connections with epoll, answers are taken apart where
// they were read, and what is sent is the same bytes each time but for a
// stream's number. That is why it speaks HTTP/2 by itself: a client of grpc-go
// costs as much as the server that it would measure.
//
// In a closed loop a number of requests is always in flight: each answer lets
// the next request go. A server that stalls is then asked less, and the stall
// counts once. In an open loop requests go at a fixed rate whatever the answers
// do, and the time of each runs from when it was due, not from when it could be
// sent: a stall counts for all whom it made wait (what is called the correction
// of coordinated omission).
//
// Every answer is compared with what the request must be answered.
package load
