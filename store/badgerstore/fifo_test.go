//go:build unix

package badgerstore

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPipesAreNotOpened: to open one would wait for its other end for ever.
func TestPipesAreNotOpened(t *testing.T) {
	dir := t.TempDir()
	s := openFast(t, dir, nil)
	saved(t, s, 0, 20)
	shut(t, s)
	for _, name := range []string{"000077.sst", "00077.mem", "000077.vlog"} {
		if err := unix.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove(t, dir, "MANIFEST") // each table is tried
	o := SalvageOptions{Dir: dir, Temp: t.TempDir(), Reserve: 1}
	out, err := Salvage(t.Context(), o, new(strings.Builder))
	if err != nil || out.Sessions == 0 || !strings.Contains(strings.Join(out.Faults, " "), "000077.sst: it is not a regular file") {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := Open(Options{Dir: dir, Reserve: 1}); err == nil {
		t.Fatal("opened")
	}
}
