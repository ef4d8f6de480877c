package badgerstore

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// The engine cuts a damaged log at the damage when it opens, without a word,
// and does not miss a log that is not there: sessions that were acknowledged
// would be gone in silence. So the logs are looked at before.

// damagedLogs returns what is wrong with the logs of a directory that is not
// open: one line for each. A log that ends in the middle of a write is as a
// crash leaves it, and is not wrong: that write was not acknowledged.
func damagedLogs(dir string, key []byte) (faults []string, err error) {
	ids, err := rawfiles.Logs(dir)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		name := rawfiles.LogName(id)
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("looking at a log: %w", err)
		}
		if at, damaged := rawfiles.DamageIn(b); damaged {
			faults = append(faults, fmt.Sprintf("%s is damaged at byte %d, and what was written behind that is lost", name, at))
		}
	}
	missing, err := missingLogs(dir, key)
	return append(faults, missing...), err
}

// missingLogs returns which logs are not there that should be: one line for
// each. key is that of the encryption.
func missingLogs(dir string, key []byte) (faults []string, err error) {
	listed, inUse, err := disk.ReadInUse(dir)
	if err != nil || !inUse {
		return nil, err
	}
	begun, err := rawfiles.BegunLogs(dir)
	if err != nil {
		return nil, err
	}
	if len(begun) == 0 {
		return []string{"the log that was in use is missing, and what was written to it is lost"}, nil
	}
	for _, id := range listed {
		if slices.Contains(begun, id) {
			continue
		}
		next := slices.IndexFunc(begun, func(other int) bool { return other > id })
		if next >= 0 {
			// The engine may have removed it just before the crash: then its
			// last version, which is the one before the next log, is in a table.
			// What cannot be found out counts as that: the opening will be refused.
			if files, err := rawfiles.Open(dir, key); err != nil || files.IsFlushed(begun[next]) {
				continue
			}
		}
		faults = append(faults, rawfiles.LogName(id)+" is missing, and what was written to it is lost")
	}
	return faults, nil
}

// reportLogs tells what was found wrong with the logs, once for each opening.
func (s *Store) reportLogs(faults []string) {
	s.damagedLogs.Add(int64(len(faults)))
	for _, fault := range faults {
		s.log.Error("acknowledged sessions are lost: "+fault+"; check the disk and what removes files here, and restore a backup if the sessions are missed",
			zap.String("dir", s.opts.Dir))
	}
}
