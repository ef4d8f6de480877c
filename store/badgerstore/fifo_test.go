//go:build unix

package badgerstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
)

// TestPipesAreNotOpened: to open one would wait for its other end for ever.
func TestPipesAreNotOpened(t *testing.T) {
	dir := t.TempDir()
	s := openFast(t, dir, nil)
	saved(t, s, 0, 20)
	sessions := s.counts.total()
	shut(t, s)
	for _, name := range []string{
		"000077.sst", "00077.mem", "000077.vlog", markerFile, disk.InUseFile, badger.ManifestFilename, badger.KeyRegistryFileName,
		"DISCARD", "anything",
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, dir)
			path := filepath.Join(dir, name)
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if err := unix.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(Options{Dir: dir, Reserve: 1}); err == nil || !strings.Contains(err.Error(), "it is not a regular file") {
				t.Errorf("opened: %v", err)
			}
			if name == "000077.sst" {
				remove(t, dir, badger.ManifestFilename) // each table is tried
			}
			o := SalvageOptions{Dir: dir, Temp: t.TempDir(), Reserve: 1}
			out, err := Salvage(t.Context(), o, new(strings.Builder))
			if err != nil || out.Sessions != sessions {
				t.Fatalf("%+v, %v", out, err)
			}
			isRead := name != "000077.vlog" && name != "DISCARD" && name != "anything"
			if isFault := strings.Contains(strings.Join(out.Faults, "\n"), name); isFault != isRead {
				t.Errorf("faults are %q", out.Faults)
			}
		})
	}
}

// copyOf returns a copy of a directory.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	other := t.TempDir()
	if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return other
}
