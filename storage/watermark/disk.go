package watermark

import (
	"os"

	fsdisk "github.com/latchkey/latchkey/internal/disk"
)

// disk is the steps that can fail, each of them on its own: a test lets them.
type disk struct {
	write      func(f *os.File, b []byte, at int64) error
	sync       func(f *os.File) error
	rename     func(from, to string) error
	syncFolder func(dir string) error
}

// system is the real one.
var system = disk{
	write: func(f *os.File, b []byte, at int64) error {
		_, err := f.WriteAt(b, at)
		return err
	},
	sync:       syncData,
	rename:     os.Rename,
	syncFolder: fsdisk.SyncFolder,
}
