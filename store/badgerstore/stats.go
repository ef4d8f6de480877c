package badgerstore

import (
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Stats implements store.Reporter.
func (s *Store) Stats() store.Stats {
	stats := store.Stats{
		Batches: s.writer.batches.Load(), Writes: s.writer.writes.Load(), Damaged: s.damaged.Load(), DamagedLogs: s.damagedLogs.Load(),
		Swept: s.swept.Load(), CacheBytes: s.cache.bytes(),
		DiskBytes: s.disk.used(s.opts.Dir), FreeBytes: s.space.free.Load(), Health: s.health(),
	}
	if at, ok := s.sweep.through(); ok {
		stats.SweptThrough = moment(at)
	}
	return stats
}

// health says whether writes are accepted.
func (s *Store) health() *store.Health {
	h := &store.Health{Writable: true, FreeBytes: s.space.free.Load(), ReserveBytes: s.opts.Reserve}
	if n := s.space.inodes.Load(); n >= 0 {
		h.FreeInodes, h.ReserveInodes = n, leastInodes
	}
	err := s.broken()
	if err == nil {
		err = s.space.short()
	}
	if err != nil {
		h.Writable, h.Reason = false, err.Error()
	}
	return h
}

// diskInterval is how old an answer of disk may be.
const diskInterval = 5 * time.Second

// disk tells what the files of a directory take. The engine's own figure
// counts the holes of its sparse files.
type disk struct {
	mu    sync.Mutex
	bytes int64     // protected by mu
	at    time.Time // protected by mu
}

func (d *disk) used(dir string) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.at.IsZero() || now.Sub(d.at) > diskInterval {
		d.at, d.bytes = now, 0
		// A file that goes meanwhile takes nothing.
		_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil //nolint:nilerr // see above
			}
			if info, err := e.Info(); err == nil {
				d.bytes += allocated(info)
			}
			return nil
		})
	}
	return d.bytes
}
