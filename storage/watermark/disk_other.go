//go:build !linux

package watermark

import "os"

const noFollow = 0

func syncData(f *os.File) error { return f.Sync() }
