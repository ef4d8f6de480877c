package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
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

// TestSalvageOfADamagedJar: the seal of a record is over its cookies, too. A
// session whose jar is damaged is lost, and the others come with theirs.
func TestSalvageOfADamagedJar(t *testing.T) {
	dir := t.TempDir()
	s := openFast(t, dir, nil)
	const n = 60
	jarOf := func(i int) []byte { return fmt.Appendf(nil, "the jar of session %d.", i) }
	for i := range n {
		rec := record("{}")
		rec.Cookies = jarOf(i)
		if err := s.Save(t.Context(), salvageKeyOf(i), store.Write{Record: rec}, store.Create()); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, s)
	jar := jarOf(44)
	damageTable(t, dir, func(b []byte) {
		at := bytes.Index(b, jar)
		if at < 0 || bytes.Contains(b[at+1:], jar) {
			t.Fatal("the jar is not there once")
		}
		b[at] ^= 1 // one bit alone is put right
		b[at+9] ^= 1
	})
	out, b, err := salvage(t, dir, nil)
	if err != nil || out.LostSessions != 1 || out.Complete() {
		t.Fatalf("%+v, %v", out, err)
	}
	_, sessions := contents(t, b)
	if _, there := sessions[salvageKeyOf(44)]; there || int64(len(sessions)) != out.Sessions || out.Sessions != n-1 {
		t.Errorf("%d sessions, %+v", len(sessions), out)
	}
	o := openFast(t, t.TempDir(), nil)
	defer shut(t, o)
	if _, err := o.Restore(t.Context(), bytes.NewReader(b), nil); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		rec, err := o.Load(t.Context(), salvageKeyOf(i))
		if i == 44 {
			if !errors.Is(err, store.ErrGone) {
				t.Errorf("the session that was damaged: %+v, %v", rec, err)
			}
			continue
		}
		if err != nil || !bytes.Equal(rec.Cookies, jarOf(i)) {
			t.Errorf("session %d has %q, %v", i, rec.Cookies, err)
		}
	}
}
