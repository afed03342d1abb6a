package replica

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

// rememberedName is the file in the data folder that has the replica's name and lease.
const rememberedName = "latchkey.db.lease"

var processStart = time.Now()

// memory is what a replica writes down beside its store: who it is, and how long it may answer. Losing it costs
// no more than the lease, so it is written without waiting for the disk.
type memory struct {
	path    string
	boot    string
	id      string
	written Instant // what Asked was when it was last written
	there   bool    // a file has the name
	hub     time.Time
}

// recall reads what is there. The lease counts if the machine wasn't started again since, the store is as far as
// it was when the lease was proven, and no clock says that more time has gone by than the lease has.
func recall(folder string, db *storage.DB, now Instant, wall time.Time) (*memory, Lease, error) {
	m := &memory{path: filepath.Join(folder, rememberedName), boot: bootID()}
	var is replicav1.Remembered
	err := readSealed(m.path, &is)
	m.id, m.there = is.GetId(), is.GetId() != ""
	if !m.there {
		random := make([]byte, 16)
		_, _ = rand.Read(random) // never fails
		m.id = hex.EncodeToString(random)
	}
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errTorn) {
			return nil, Lease{}, fmt.Errorf("reading the lease: %w", err)
		}
		is.Reset() // torn as a crash may leave it: it has no lease
	}
	if is.GetHub() != nil {
		m.hub = is.GetHub().AsTime()
	}
	at, err := readPosition(is.GetPosition())
	limit, limitErr := readLimit(is.GetLimit())
	if err != nil || limitErr != nil || is.GetPosition() == nil || db.Recovered() != nil || db.Position().Before(at) {
		return m, Lease{}, nil
	}
	lease := Lease{Proven: true, Asked: is.GetAsked().AsDuration(), Limit: limit}
	if m.boot == "" || is.GetBoot() != m.boot || lease.Asked > now {
		if limit > 0 {
			return m, Lease{}, nil
		}
		// How long ago it was nobody knows: what has a limit by another rule isn't answered.
		lease.Asked = now - 2*longestLimit
	}
	if by := wall.Sub(is.GetAt().AsTime()); by > now-lease.Asked {
		lease.Asked = now - by
	}
	return m, lease, nil
}

// remember writes the lease down, unless what is written is nearly as good.
func (m *memory) remember(l Lease, at storage.Position, now Instant, wall time.Time, always bool) error {
	if !always && m.written != 0 && l.Asked-m.written < max(l.Limit/20, time.Second) {
		return nil
	}
	is := &replicav1.Remembered{Id: m.id}
	if !m.hub.IsZero() {
		is.Hub = timestamppb.New(m.hub)
	}
	if l.Proven {
		is.Position, is.Limit, is.Boot = wirePosition(at), wireLimit(l.Limit), m.boot
		is.Asked, is.At = durationpb.New(l.Asked), timestamppb.New(wall.Add(l.Asked-now))
	}
	if err := writeSealed(m.path, is, false); err != nil {
		return fmt.Errorf("writing the lease: %w", err)
	}
	m.written = l.Asked
	return nil
}
