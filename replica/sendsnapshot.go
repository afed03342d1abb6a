package replica

import (
	"fmt"
	"hash/crc32"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
)

// chunkBytes is how much of a snapshot one message holds.
const chunkBytes = 64 << 10

// snapshot sends the whole store, from a file.
func (s *subscription) snapshot() error {
	h := s.hub
	one, err := h.spools.get(s.stream.Context(), s.insists)
	if err != nil {
		if s.stream.Context().Err() == nil {
			h.log.Error("a snapshot for a replica can't be made", "error", err)
		}
		return status.Error(codes.Unavailable, "the hub can't make a snapshot: its log tells why")
	}
	defer h.spools.release(one)
	h.log.Info("sending a snapshot", "replica", s.name, "identity", s.identity, "revision", one.Position.Revision, "bytes", one.bytes)
	if err := s.send(&replicav1.FollowResponse{Message: &replicav1.FollowResponse_SnapshotBegin{SnapshotBegin: &replicav1.SnapshotBegin{
		Position: wirePosition(one.Position), At: timestamppb.New(one.Latest), Bytes: uint64(one.bytes),
	}}}); err != nil {
		return err
	}
	buffer := make([]byte, chunkBytes)
	for offset := int64(0); offset < one.bytes; {
		n, err := one.file.ReadAt(buffer[:min(chunkBytes, one.bytes-offset)], offset)
		if n == 0 && err != nil {
			return fmt.Errorf("reading a snapshot: %w", err)
		}
		offset += int64(n)
		if err := s.send(&replicav1.FollowResponse{Message: &replicav1.FollowResponse_SnapshotChunk{SnapshotChunk: &replicav1.SnapshotChunk{
			Data: buffer[:n], Crc32C: crc32.Checksum(buffer[:n], castagnoli),
		}}}); err != nil {
			return err
		}
		if err := s.ended(); err != nil {
			return err
		}
	}
	s.expect(one.Position)
	s.sent = one.Position
	h.metrics.snapshots.Inc()
	return s.send(&replicav1.FollowResponse{Message: &replicav1.FollowResponse_SnapshotEnd{SnapshotEnd: &replicav1.SnapshotEnd{
		Sha256: one.sum[:], Objects: one.Objects,
	}}})
}
