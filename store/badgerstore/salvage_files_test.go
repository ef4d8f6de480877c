package badgerstore

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// TestSalvageOfATableThatWasReplaced: a table that a compaction has replaced,
// and a crash left behind, brings nothing back.
func TestSalvageOfATableThatWasReplaced(t *testing.T) {
	dir := t.TempDir()
	s := openFast(t, dir, nil)
	for i := range 20 {
		create(t, s, salvageKeyOf(i), `{}`)
	}
	shut(t, s)
	replaced := readFile(t, nthTable(t, dir, 0))
	s = openFast(t, dir, nil)
	if err := s.db.DropPrefix(restored...); err != nil { // leaves no mark of the deletions, as a compaction does
		t.Fatal(err)
	}
	shut(t, s)
	rewrite(t, filepath.Join(dir, "000099.sst"), replaced)
	out, _, err := salvage(t, dir, nil)
	if err != nil || out.Sessions != 0 || !out.Complete() {
		t.Fatalf("%+v, %v", out, err)
	}
	// Without the list of tables nothing tells which one was replaced.
	remove(t, dir, badger.ManifestFilename)
	write(t, dir, disk.InUseFile, "")
	out, _, err = salvage(t, dir, func(o *SalvageOptions) { o.Certain = true })
	if err != nil || out.Sessions != 0 || out.Complete() || out.Doubtful+out.LostSessions == 0 {
		t.Fatalf("without a manifest: %+v, %v", out, err)
	}
}

// TestSalvageOfALogThatIsCutOff takes what the engine would: a transaction
// that was not finished is none.
func TestSalvageOfALogThatIsCutOff(t *testing.T) {
	dir, log := crashed(t, 50, nil)
	whole := readFile(t, log)
	last := len(bytes.TrimRight(whole, "\x00"))
	for _, cut := range []int{3, 40, 90, 150, 260, 400, 1000, last - rawfiles.LogHeader} {
		b := bytes.Clone(whole)
		clear(b[last-cut:])
		rewrite(t, log, b)
		out, _, err := salvage(t, dir, nil)
		if err != nil || !out.Complete() || out.Doubtful != 0 {
			t.Fatalf("cut %d: %+v, %v", cut, out, err)
		}
		other := t.TempDir()
		if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		s := openFast(t, other, nil)
		if want := s.counts.total(); out.Sessions != want {
			t.Errorf("cut %d: %d sessions, the engine has %d", cut, out.Sessions, want)
		}
		shut(t, s)
	}
}

// TestSalvageOfFormerFormats: they are carried over as by an opening.
func TestSalvageOfFormerFormats(t *testing.T) {
	now := at.Add(15 * time.Minute)
	for format := 1; format <= markerFormat; format++ {
		dir := unpack(t, format)
		out, b, err := salvage(t, dir, func(o *SalvageOptions) { o.Now, o.Check = func() time.Time { return now }, nil })
		if err != nil || !out.Complete() || len(out.Faults) > 0 {
			t.Fatalf("format %d: %+v, %v", format, out, err)
		}
		s := openAt(t, t.TempDir(), now)
		if n, err := s.Restore(t.Context(), bytes.NewReader(b), nil); err != nil || n != out.Sessions {
			t.Errorf("format %d: restored %d: %v", format, n, err)
		}
		holdsWhatWasWritten(t, s, format)
		shut(t, s)
	}
	dir := unpack(t, markerFormat)
	write(t, dir, markerFile, `{"format":99,"store":"x"}`)
	if _, _, err := salvage(t, dir, nil); err == nil {
		t.Error("a newer format is read")
	}
}
