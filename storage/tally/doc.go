// Package tally keeps when and how often secrets were presented: one bbolt file beside the store, which nothing else
// depends on.
//
// A process that others report to, or that has nobody to report to, adds counts to its file (File.Add, File.Receive) and
// reads them (File.Usage, File.LastUsed). One that reports queues them as batches (File.Queue), sends the first
// (File.Head), and lets go of it once it was taken (File.Acknowledge).
//
// # Once
//
// A batch has a number, and its file a random name. Batches are sent in order, one at a time, and never change once
// they may have been sent. Who takes a batch writes its counts and its number by one transaction, and takes no batch
// of the file whose number isn't greater. So each is counted once, whichever side is killed when; what is lost is
// what wasn't written down yet.
//
// # What is in the file
//
//	meta     format, source (random name), began (when), reason:NAME (the byte that stands for it)
//	secrets  digest             -> number, given in the order of first use
//	uses     number             -> how often by reason, for ever, and when last
//	hours    hour, number       -> how often by reason
//	days     day, number        -> how often by reason: of hours that are folded
//	outbox   number of a batch  -> its counts
//	senders  identity, id       -> source and number of its newest batch, when it came, name
//
// Numbers are big-endian, so that time is the order of rows and those of one hour lie together: a flush changes few
// pages, and what is old is deleted from one end. Each value is sealed by a checksum.
//
// A file that is damaged is put aside and begun anew: counts aren't worth a check that isn't answered.
package tally
