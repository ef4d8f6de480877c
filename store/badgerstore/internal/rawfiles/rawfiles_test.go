package rawfiles

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/sessionproxy/sessionproxy/store/internal/crc32c"
)

var testKey = bytes.Repeat([]byte{7}, 32)

// tableOf returns a table of the engine with so many entries.
func tableOf(t testing.TB, entries int) []byte {
	t.Helper()
	dir := t.TempDir()
	db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil).WithCompression(options.None))
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		err := db.Update(func(txn *badger.Txn) error {
			return txn.Set(fmt.Appendf(nil, "key %d", i), fmt.Appendf(nil, "value %d", i))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := Files(dir, "*.sst")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCorrect finds each single bit, and takes no two for one.
func TestCorrect(t *testing.T) {
	text := bytes.Repeat([]byte("session "), 200)
	sum := crc32.Checksum(text, crc32c.Table)
	for bit := range 8 * len(text) {
		b := bytes.Clone(text)
		b[bit/8] ^= 1 << (bit % 8)
		if got, ok := correct(b, sum); !ok || !bytes.Equal(got, text) {
			t.Fatalf("bit %d", bit)
		}
		b[(bit/8+1)%len(b)] ^= 1
		if got, ok := correct(b, sum); ok && !bytes.Equal(got, text) {
			t.Fatalf("bits %d and another", bit)
		}
	}
	for bit := range 32 {
		if got, ok := correct(text, sum^1<<bit); !ok || !bytes.Equal(got, text) {
			t.Fatalf("bit %d of the checksum", bit)
		}
	}
}

// FuzzTable never panics, whatever a table holds.
func FuzzTable(f *testing.F) {
	f.Add(tableOf(f, 5))
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, form := range []tableForm{{}, {compression: options.ZSTD}, {key: testKey}} {
			best, left := chooseForm(b, []tableForm{form}), tableBudget(len(b))
			for _, block := range best.index.blocks {
				entries, _, _ := form.block(b[block.at:block.at+block.n], &left)
				for i := range entries {
					entries[i].isWhole(func(*Entry) bool { return true })
				}
			}
		}
	})
}

// FuzzLog never panics, whatever a log holds.
func FuzzLog(f *testing.F) {
	f.Add(append(make([]byte, LogHeader), "\x00\x00\x03\x02\x00keyvacrc!and more"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, key := range [][]byte{nil, testKey} {
			l := logReader{b: b, key: key, visit: func(Entry) error { return nil }}
			if len(b) >= LogHeader {
				if err := l.read(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// FuzzLogEntry never reads beyond what is there.
func FuzzLogEntry(f *testing.F) {
	f.Add([]byte("\x00\x00\x03\x02\x00keyvacrc!and more"))
	f.Add([]byte{0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, _ := logEntry(b); n > len(b) {
			t.Fatalf("%d of %d bytes", n, len(b))
		}
		if at, _ := DamageIn(b); at < 0 || len(b) > LogHeader && at > len(b) {
			t.Fatalf("ends at %d of %d", at, len(b))
		}
	})
}
