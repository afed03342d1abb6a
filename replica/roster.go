package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"

	"github.com/latchkey/latchkey/internal/disk"
	"google.golang.org/protobuf/proto"
)

// What is written beside the store ends in a CRC-32C. It takes the place of what was there by a rename, whole or
// not at all.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn is what a file is that wasn't written to its end, or was damaged since.
var errTorn = errors.New("its checksum is wrong")

// readSealed reads a file into a message. One that isn't there is os.ErrNotExist.
func readSealed(path string, into proto.Message) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	end := len(b) - crc32.Size
	if end < 0 || binary.LittleEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return fmt.Errorf("%s: %w", path, errTorn)
	}
	if err := proto.Unmarshal(b[:end], into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// writeSealed writes a message to a file, durably if that is asked for.
func writeSealed(path string, m proto.Message, durable bool) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return disk.Replace(path, b, durable)
}

// saver writes the roster: many who ask at the same time are served by one write.
type saver struct {
	write func() error // writes what there is now

	mu      sync.Mutex
	running bool
	next    *save
}

// save is a write that is to come.
type save struct {
	done chan struct{}
	err  error
}

// save returns once what was there when it was called is written.
func (s *saver) save() error {
	s.mu.Lock()
	if s.next == nil {
		s.next = &save{done: make(chan struct{})}
	}
	mine := s.next
	if s.running {
		s.mu.Unlock()
		<-mine.done
		return mine.err
	}
	s.running = true
	for s.next != nil {
		now := s.next
		s.next = nil
		s.mu.Unlock()
		now.err = s.write()
		close(now.done)
		s.mu.Lock()
	}
	s.running = false
	s.mu.Unlock()
	return mine.err
}
