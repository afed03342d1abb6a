// Package watermark is the file beside the store that remembers how far the store was. It grows by one mark with each
// revision, and is what a store that went back in time is told by; its marks are also what a restore replays.
//
// # The file
//
// Numbers are little-endian. The file begins with two copies of the header, so that one bad byte in it costs nothing:
//
//	0   8   magic, "LKWMARK\n"
//	8   4   format version, 1
//	12  16  salt, random, new with each file
//	28  4   CRC-32C of the 28 bytes before
//
// These 32 bytes are the same in every format version. Frames follow from byte 64 on, one after the other:
//
//	0   4   magic, F5 'm' 'k' FE
//	4   4   length of the payload, at most MaxMark
//	8   4   CRC-32C of salt, offset of the frame in the file (8 bytes), length (4 bytes) and payload
//	12  n   payload, a latchkey.log.v1.Mark
//
// The first frame is the base: where the file begins, with the keys revoked up to there. After the last frame there is
// nothing but zeros, which are room for more. Salt and offset make a frame count in its own place alone: neither the
// remains of an earlier write nor bytes that somebody put into an object's name ever look like a mark.
//
// # The order of durable steps
//
// An append, which comes after the store's own commit, is:
//
//  1. room: zeros are written where the mark will be, and synced. Reserve does this before the store commits, so that a
//     full disk refuses the commit and never the mark. A crash leaves zeros.
//  2. the mark is written over the zeros and synced. A crash leaves zeros, the mark, or parts of it, which no checksum
//     fits: a torn end.
//
// After a failure of the second step the next append begins with the first, at the same place, so that nothing of the
// failed one is left behind a mark that was written later.
//
// Opening writes the last mark again, as it is, and syncs it and the folder: a process before may have seen its sync fail, or
// died before it, while the system goes on showing what never came to the disk.
//
// A file is made, and made shorter, like this: a leftover of an earlier attempt is removed; the new file is written under
// another name and synced, renamed, and the folder is synced. A crash leaves the old or the new file, both of them whole.
// Nothing is appended to the new one before the folder is synced: a mark in a file that a crash can take back would be no
// mark at all.
//
// # What damage does
//
// A frame that doesn't check out is passed over, and reading goes on at the next one that does, so that only damage to
// the newest marks can hide how far the store was. Since a mark is begun only when its commit is durable, a torn end
// means that the store went at least one revision beyond the last whole mark.
//
// Where a file system writes to another place on overwriting (btrfs, ZFS), zeros are no room, and an append can fail for
// lack of it after all.
package watermark
