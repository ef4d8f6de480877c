package badgerstore

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// at is when the stores of testdata/formats were written.
var at = time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)

// openAt opens a store of that time. Its engine, which has its own clock, drops nothing.
func openAt(t *testing.T, dir string, now time.Time) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, Reserve: 1 << 20, Now: func() time.Time { return now }, backstop: 100 * 365 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// unpack unpacks the store that a former version has written.
func unpack(t *testing.T, format int) (dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "formats", fmt.Sprintf("%d.tar.gz", format)))
	if err != nil {
		t.Fatalf("each format needs a store that it has written: %v", err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for files := tar.NewReader(zip); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		b, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, filepath.Base(header.Name), string(b))
	}
}

// TestFormats opens a store of each format and restores a backup of it: the
// sessions, their index, what waits for listeners and what is dead is there.
func TestFormats(t *testing.T) {
	t.Run("written now", func(t *testing.T) {
		dir := t.TempDir()
		s := openAt(t, dir, at)
		writeAll(t, s)
		var backup bytes.Buffer
		if err := s.Backup(t.Context(), &backup); err != nil {
			t.Fatal(err)
		}
		shut(t, s)
		if to := os.Getenv(formatsDir); to != "" { // for a new format
			write(t, to, fmt.Sprintf("%d.backup", archive.Format), backup.String())
			if out, err := exec.Command("tar", "--owner=0", "--group=0", "--numeric-owner", "-C", dir, "-czf", filepath.Join(to, fmt.Sprintf("%d.tar.gz", markerFormat)), ".").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		s = openAt(t, dir, at.Add(15*time.Minute))
		defer shut(t, s)
		holdsWhatWasWritten(t, s, markerFormat)
	})
	for format := 1; format <= markerFormat; format++ {
		t.Run(fmt.Sprint("directory ", format), func(t *testing.T) {
			dir := unpack(t, format)
			for range 2 { // carried over once
				s := openAt(t, dir, at.Add(15*time.Minute))
				holdsWhatWasWritten(t, s, format)
				consistent(t, s)
				shut(t, s)
				if mark, err := readMarker(dir); err != nil || mark.Format != markerFormat {
					t.Fatalf("the marker says %+v, %v", mark, err)
				}
			}
		})
	}
	for format := 1; format <= archive.Format; format++ {
		t.Run(fmt.Sprint("backup ", format), func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("testdata", "formats", fmt.Sprintf("%d.backup", format)))
			if err != nil {
				t.Fatalf("each format needs a backup that it has written: %v", err)
			}
			s := openAt(t, t.TempDir(), at.Add(15*time.Minute))
			defer shut(t, s)
			if n, err := s.Restore(t.Context(), bytes.NewReader(b), nil); err != nil || n != 4 {
				t.Fatalf("%d sessions, %v", n, err)
			}
			holdsWhatWasWritten(t, s, format)
			consistent(t, s)
		})
	}
	for _, format := range []int{0, markerFormat + 1} {
		dir := unpack(t, 1)
		write(t, dir, markerFile, fmt.Sprintf(`{"format":%d,"store":"x"}`, format))
		if _, err := Open(Options{Dir: dir, Reserve: 1 << 20}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("it has format %d", format)) {
			t.Errorf("format %d: %v", format, err)
		}
	}
}

// formatsDir names a directory that gets a store and a backup of the present
// format, as testdata/formats wants them.
const formatsDir = "SESSIONPROXY_FORMATS_DIR"

// writeAll writes what holdsWhatWasWritten checks.
func writeAll(t *testing.T, s *Store) {
	t.Helper()
	s.Subscribe(to("hook"))
	for i := range byte(5) {
		key := store.Key{Manager: "shop", ID: store.ID{i + 1}}
		rec := store.Record{
			Data: fmt.Appendf(nil, `{"n":%d}`, i), Version: store.Version{Counter: 3, Nonce: uint64(i) + 7}, Incarnation: uint64(i) + 100,
			Nonce: [16]byte{i, 1}, PreviousNonce: [16]byte{i, 2}, PreviousUntil: at.Add(time.Minute),
			Created: at, Accessed: at, Idle: time.Hour, Absolute: at.Add(12 * time.Hour),
		}
		if i == 1 {
			rec.Since, rec.OwnIdle, rec.OwnAbsolute = at.Add(-time.Hour), true, true
		}
		if i%2 == 0 {
			rec.Cookies = []byte{0xff, i}
		}
		if i%2 == 1 {
			rec.Principal = "alice"
		}
		w := store.Write{Record: rec, Events: []store.Event{{Kind: store.EventCreated}}}
		if err := s.Save(t.Context(), key, w, store.Create()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Touch(t.Context(), store.Touch{Key: store.Key{Manager: "shop", ID: store.ID{1}}, Incarnation: 100, Accessed: at.Add(10 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	s.Subscribe(to("audit", "hook"))
	if err := s.Delete(t.Context(), store.Key{Manager: "shop", ID: store.ID{5}}, store.Destroyed); err != nil {
		t.Fatal(err)
	}
	due, _, err := s.Deliveries(t.Context(), "hook", 1)
	if err == nil && len(due) == 1 {
		err = s.Settle(t.Context(), store.Settlement{ID: due[0].ID, Dead: true, Error: "500"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// holdsWhatWasWritten checks the four sessions, of which two are signed in, one
// that was ended, and their deliveries.
func holdsWhatWasWritten(t *testing.T, s *Store, format int) {
	t.Helper()
	for i := range byte(4) {
		rec, err := s.Load(t.Context(), store.Key{Manager: "shop", ID: store.ID{i + 1}})
		if err != nil {
			t.Fatal(err)
		}
		accessed := at
		if i == 0 {
			accessed = at.Add(10 * time.Minute)
		}
		if string(rec.Data) != fmt.Sprintf(`{"n":%d}`, i) || rec.Nonce != ([16]byte{i, 1}) || rec.PreviousNonce != ([16]byte{i, 2}) || !rec.PreviousUntil.Equal(at.Add(time.Minute)) ||
			rec.Idle != time.Hour || !rec.Absolute.Equal(at.Add(12*time.Hour)) || !rec.Accessed.Equal(accessed) || rec.Incarnation != uint64(i)+100 ||
			rec.Version != (store.Version{Counter: 3, Nonce: uint64(i) + 7}) || (rec.Principal == "alice") != (i%2 == 1) {
			t.Fatalf("session %d is %+v", i, rec)
		}
		if jar := i%2 == 0 && format >= 4; jar != bytes.Equal(rec.Cookies, []byte{0xff, i}) || !jar && rec.Cookies != nil {
			t.Fatalf("session %d has the cookies %q", i, rec.Cookies)
		}
	}
	if rec, err := s.Load(t.Context(), store.Key{Manager: "shop", ID: store.ID{2}}); err != nil || format >= 3 &&
		(!rec.Since.Equal(at.Add(-time.Hour)) || !rec.OwnIdle || !rec.OwnAbsolute) {
		t.Fatalf("the timeouts that the app has asked for: %+v, %v", rec, err)
	}
	if _, err := s.Load(t.Context(), store.Key{Manager: "shop", ID: store.ID{5}}); !errors.Is(err, store.ErrGone) {
		t.Fatalf("the session that was ended: %v", err)
	}
	page, err := s.Page(t.Context(), store.Query{Manager: "shop", Principal: "alice", Limit: 10})
	if err != nil || len(page.Sessions) != 2 {
		t.Fatalf("of alice: %+v, %v", page, err)
	}
	backlog, err := s.Backlog(t.Context())
	if err != nil || len(backlog) != 2 || backlog[0].Listener != "audit" || backlog[0].Waiting != 1 || backlog[1].Waiting != 5 || backlog[1].Dead != 1 {
		t.Fatalf("waiting: %+v, %v", backlog, err)
	}
	if dead, err := s.DeadLetters(t.Context(), "", 10); err != nil || len(dead) != 1 || dead[0].Error != "500" {
		t.Fatalf("dead: %+v, %v", dead, err)
	}
	if due, _, err := s.Deliveries(t.Context(), "audit", 10); err != nil || len(due) != 1 || string(due[0].Data) != `{"n":4}` || due[0].Reason != store.Destroyed {
		t.Fatalf("for audit: %+v, %v", due, err)
	}
}
