package replica

import (
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

// apply applies entries, together with those that came meanwhile: one write to the disk for all.
func (c *connection) apply(entries []*logv1.Entry) error {
	if len(entries) == 0 {
		return ErrOrder
	}
	size := sizeOf(entries)
	var rest *replicav1.FollowResponse
	for rest == nil && size < applyBytes {
		select {
		case m := <-c.came:
			if more := m.GetEntries().GetEntries(); len(more) > 0 {
				entries, size = append(entries, more...), size+sizeOf(more)
			} else {
				rest = m
			}
			continue
		default:
		}
		break
	}
	f, last := c.f, entries[len(entries)-1]
	to, err := readPosition(&logv1.Position{Epoch: last.GetEpoch(), Revision: last.GetRevision(), Digest: last.GetDigest()})
	if err != nil {
		return err
	}
	if err := f.state.Came(entries[0].GetRevision(), to); err != nil {
		return err
	}
	if c.hubAt.Before(to) {
		c.hubAt = to
	}
	at, err := f.o.DB.Apply(c.ctx, entries)
	if err != nil {
		return c.refused(err)
	}
	f.metrics.entries.Add(float64(len(entries)))
	if err := c.stored(at); err != nil || rest == nil {
		return err
	}
	return c.take(rest)
}

func sizeOf(entries []*logv1.Entry) (n int) {
	for _, e := range entries {
		for _, p := range e.GetPuts() {
			n += len(p.GetValue()) + len(p.GetName())
		}
		n += 64
	}
	return n
}

// stored notes where the store is, and acknowledges it.
func (c *connection) stored(at storage.Position) error {
	c.f.state.Stored(at)
	c.f.stuck = storage.Position{}
	c.f.publish()
	return c.send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Applied{Applied: &replicav1.Applied{Position: wirePosition(at)}}})
}
