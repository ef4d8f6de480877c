package badgerstore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// severalLogs returns the directory of a store as a kill leaves it while the
// engine cannot write tables, and its logs.
func severalLogs(t *testing.T, key []byte) (dir string, begun []int) {
	t.Helper()
	source := t.TempDir()
	shut(t, open(t, source, func(o *Options) { o.EncryptionKey = key }))
	f := openFaulty(t, source, func(o *Options) { o.EncryptionKey = key })
	until(t, "the log of the opening is a table", func() bool {
		begun, err := rawfiles.BegunLogs(source)
		return err == nil && len(begun) == 1
	})
	free := f.block(tables(2)...)
	if _, err := f.fill(); err == nil {
		t.Fatal("nothing was refused")
	}
	f.space.Refresh()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	free()
	shut(t, f.Store)
	for _, name := range append(tables(2), "LOCK") {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && (info.IsDir() || name == "LOCK") {
			remove(t, dir, name)
		}
	}
	begun, err := rawfiles.BegunLogs(dir)
	if err != nil || len(begun) < 2 {
		t.Fatalf("logs %v, %v", begun, err)
	}
	return dir, begun
}

// TestEachMissingLogIsTold: one of several is missed, whichever it is.
func TestEachMissingLogIsTold(t *testing.T) {
	for _, key := range [][]byte{nil, salvageKey} {
		for missing := -1; missing < 2; missing++ {
			t.Run(fmt.Sprintf("%d, encrypted %t", missing, key != nil), func(t *testing.T) {
				dir, begun := severalLogs(t, key)
				want := 0
				if missing >= 0 {
					remove(t, dir, rawfiles.LogName(begun[missing]))
					want = 1
				}
				faults, err := missingLogs(dir, key)
				if err != nil || len(faults) != want || want > 0 && !strings.HasPrefix(faults[0], rawfiles.LogName(begun[missing])) {
					t.Fatalf("of %v: %v, %v", begun, faults, err)
				}
				out, _, err := salvage(t, dir, func(o *SalvageOptions) { o.EncryptionKey, o.Check = key, nil })
				if err != nil || out.Complete() != (want == 0) {
					t.Fatalf("salvage: %+v, %v", out, err)
				}
				s := open(t, dir, func(o *Options) { o.EncryptionKey, o.Logger = key, zap.NewNop() })
				if n := s.Stats().DamagedLogs; n != int64(want) {
					t.Errorf("%d are told", n)
				}
				shut(t, s)
			})
		}
	}
}

// TestALogThatIsATableIsNotMissed: the engine may remove a log just before a
// crash, and the mark still names it.
func TestALogThatIsATableIsNotMissed(t *testing.T) {
	dir, log := crashed(t, 10, nil)
	b := readFile(t, filepath.Join(dir, disk.InUseFile))
	var last int
	if _, err := fmt.Sscanf(filepath.Base(log), "%05d", &last); err != nil || string(b) != fmt.Sprint(last) {
		t.Fatalf("%q is marked, %s is there, %v", b, log, err)
	}
	rewrite(t, filepath.Join(dir, disk.InUseFile), fmt.Append(nil, last-1, last))
	if faults, err := missingLogs(dir, nil); err != nil || len(faults) > 0 {
		t.Fatalf("%v, %v", faults, err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		remove(t, dir, filepath.Base(name))
	}
	if faults, err := missingLogs(dir, nil); err != nil || len(faults) != 1 {
		t.Fatalf("without a table: %v, %v", faults, err)
	}
}

// TestTheMarkFollowsTheLogs as the engine begins them and writes them to tables.
func TestTheMarkFollowsTheLogs(t *testing.T) {
	f := openFaulty(t, t.TempDir(), nil)
	defer shut(t, f.Store)
	marked := func() []int {
		f.space.Refresh()
		begun, inUse, err := disk.ReadInUse(f.dir)
		if err != nil || !inUse {
			t.Fatal(inUse, err)
		}
		return begun
	}
	first := marked()
	if len(first) != 1 {
		t.Fatalf("%v are marked", first)
	}
	free := f.block(tables(1)...)
	if _, err := f.fill(); err == nil {
		t.Fatal("nothing was refused")
	}
	if m := marked(); len(m) < 2 || m[0] != first[0] {
		t.Fatalf("%v are marked", m)
	}
	free()
	until(t, "the table", func() bool { return !slices.Contains(marked(), first[0]) })
}

// TestFaultsOfLogsAreToldBeforeARefusal: after an opening that was refused
// they may not be found any more. While another process has the store open
// they are its own.
func TestFaultsOfLogsAreToldBeforeARefusal(t *testing.T) {
	dir, log := crashed(t, 50, nil)
	b := readFile(t, log)
	b[len(bytes.TrimRight(b, "\x00"))/2] ^= 0x10
	rewrite(t, log, b)
	refused := func() int {
		t.Helper()
		core, logged := observer.New(zapcore.ErrorLevel)
		if s, err := Open(Options{Dir: dir, Reserve: 1, Logger: zap.New(core)}); err == nil {
			shut(t, s)
			t.Fatal("opened")
		}
		return logged.FilterMessageSnippet("acknowledged sessions are lost").Len()
	}
	unlock, err := disk.TryLock(dir)
	if err != nil || unlock == nil {
		t.Fatal(err)
	}
	if n := refused(); n != 0 {
		t.Errorf("%d faults of another process's logs", n)
	}
	unlock()
	write(t, dir, markerFile, `{"format":1,"store":"another"}`)
	if n := refused(); n != 1 {
		t.Errorf("%d faults are told", n)
	}
}
