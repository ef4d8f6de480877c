package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// crashed returns the directory of a store as a kill -9 leaves it, with so many
// sessions, and the log in use.
func crashed(t *testing.T, sessions int, change func(*Options)) (dir, log string) {
	t.Helper()
	s := open(t, t.TempDir(), change)
	shut(t, s) // what tells the store from others is in a table, and not lost with the log
	s = open(t, s.opts.Dir, change)
	for i := range sessions {
		create(t, s, keyOf(byte(i)), fmt.Sprintf(`{"n":%d,"fill":%q}`, i, strings.Repeat("x", 200)))
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.opts.Dir)); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range logs {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 {
			log = name
		}
	}
	return dir, log
}

// TestDamagedLogsAreTold: what the engine would drop in silence is counted and
// logged; what a crash leaves is not.
func TestDamagedLogsAreTold(t *testing.T) {
	const sessions = 100
	key := bytes.Repeat([]byte{7}, 32)
	for name, tc := range map[string]struct {
		options func(*Options)
		damage  func(t *testing.T, log string, b []byte)
		faults  int64
		lost    bool // sessions are
	}{
		"a kill": {nil, func(*testing.T, string, []byte) {}, 0, false},
		"a write that was cut off": {nil, func(t *testing.T, log string, b []byte) {
			end := len(bytes.TrimRight(b, "\x00"))
			clear(b[end-40:])
			rewrite(t, log, b)
		}, 0, true},
		"a flipped bit": {nil, func(t *testing.T, log string, b []byte) {
			b[len(bytes.TrimRight(b, "\x00"))/2] ^= 0x10
			rewrite(t, log, b)
		}, 1, true},
		"a flipped bit, encrypted": {func(o *Options) { o.EncryptionKey = key }, func(t *testing.T, log string, b []byte) {
			b[len(bytes.TrimRight(b, "\x00"))/2] ^= 0x10
			rewrite(t, log, b)
		}, 1, true},
		"a page of zeros": {nil, func(t *testing.T, log string, b []byte) {
			clear(b[4096:8192])
			rewrite(t, log, b)
		}, 1, true},
		"a log that is gone": {nil, func(t *testing.T, log string, _ []byte) {
			if err := os.Remove(log); err != nil {
				t.Fatal(err)
			}
		}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, log := crashed(t, sessions, tc.options)
			b, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			tc.damage(t, log, b)
			core, logged := observer.New(zapcore.ErrorLevel)
			o := Options{Dir: dir, Reserve: 1 << 20, Logger: zap.New(core)}
			if tc.options != nil {
				tc.options(&o)
			}
			s, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Stats().DamagedLogs; got != tc.faults || int64(logged.FilterMessageSnippet("acknowledged sessions are lost").Len()) != tc.faults {
				t.Errorf("%d faults, %v", got, logged.All())
			}
			if lost := s.counts.total() < sessions; lost != tc.lost {
				t.Errorf("%d of %d sessions are there", s.counts.total(), sessions)
			}
			shut(t, s)
			again := open(t, dir, tc.options)
			if got := again.Stats().DamagedLogs; got != 0 {
				t.Errorf("%d faults at the next opening", got)
			}
			shut(t, again)
		})
	}
}

// TestARefusedOpeningIsNoLoss: the engine that was opened in vain has made a
// table of the log that a crash left, and the next opening must not miss it.
func TestARefusedOpeningIsNoLoss(t *testing.T) {
	dir, _ := crashed(t, 10, nil)
	mark, err := os.ReadFile(filepath.Join(dir, markerFile))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, markerFile, `{"format":1,"store":"another"}`)
	if _, err := Open(Options{Dir: dir, Reserve: 1 << 20}); err == nil {
		t.Fatal("the marker of another store is taken")
	}
	write(t, dir, markerFile, string(mark))
	s := open(t, dir, nil)
	defer shut(t, s)
	if n := s.Stats().DamagedLogs; n != 0 || s.counts.total() != 10 {
		t.Errorf("%d faults, %d of 10 sessions", n, s.counts.total())
	}
}

func rewrite(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEveryCutOfALogIsACrash: wherever a write was cut off, nothing is reported.
func TestEveryCutOfALogIsACrash(t *testing.T) {
	_, log := crashed(t, 20, nil)
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	whole = bytes.TrimRight(whole, "\x00")
	rapid.Check(t, func(t *rapid.T) {
		b := append(bytes.Clone(whole[:rapid.IntRange(0, len(whole)).Draw(t, "cut")]), make([]byte, 1000)...)
		if at, damaged := rawfiles.DamageIn(b); damaged {
			t.Fatalf("damaged at %d", at)
		}
	})
}

// A directory that is away when the close begins, and back before it ends, has
// lost nothing.
func TestADirectoryThatIsBackBeforeTheCloseEndsIsNoLoss(t *testing.T) {
	dir := t.TempDir() + "/store"
	s := open(t, dir, nil)
	create(t, s, keyOf(1), "x")
	shut(t, s)
	away := dir + ".away"
	if err := errors.Join(os.WriteFile(filepath.Join(dir, disk.InUseFile), nil, 0o600), os.Rename(dir, away)); err != nil {
		t.Fatal(err)
	}
	if err := disk.UnmarkAround(dir, func() error { return os.Rename(away, dir) }); err != nil {
		t.Fatal(err)
	}
	if faults, err := damagedLogs(dir, nil); err != nil || len(faults) > 0 {
		t.Fatalf("%q, %v", faults, err)
	}
}
