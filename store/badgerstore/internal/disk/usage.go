package disk

import (
	"io/fs"
	"path/filepath"
	"sync"
	"time"
)

// usageInterval is how old an answer of Usage may be.
const usageInterval = 5 * time.Second

// Usage tells what the files of a directory take. The engine's own figure
// counts the holes of its sparse files.
type Usage struct {
	mu    sync.Mutex
	bytes int64     // protected by mu
	at    time.Time // protected by mu
}

// Of returns how many bytes the files of the directory take.
func (d *Usage) Of(dir string) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.at.IsZero() || now.Sub(d.at) > usageInterval {
		d.at, d.bytes = now, 0
		// A file that goes meanwhile takes nothing.
		_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil //nolint:nilerr // see above
			}
			if info, err := e.Info(); err == nil {
				d.bytes += Allocated(info)
			}
			return nil
		})
	}
	return d.bytes
}
