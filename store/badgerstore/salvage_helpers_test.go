package badgerstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	domain "github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// sums returns a hash of each file of a directory.
func sums(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][32]byte)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = sha256.Sum256(b)
	}
	return all
}

// salvage salvages a store and checks that its files are as before.
func salvage(t *testing.T, dir string, change func(*SalvageOptions)) (*Salvaged, []byte, error) {
	t.Helper()
	before, temp := sums(t, dir), t.TempDir()
	o := SalvageOptions{Dir: dir, Temp: temp, Reserve: 1, Check: domain.CheckRecord}
	if change != nil {
		change(&o)
	}
	var b bytes.Buffer
	out, err := Salvage(t.Context(), o, &b)
	if after := sums(t, dir); !maps.Equal(before, after) {
		t.Errorf("the files of the store have changed")
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return out, b.Bytes(), err
}

// openFast opens a store that waits for no disk.
func openFast(t *testing.T, dir string, change func(*Options)) *Store {
	t.Helper()
	return open(t, dir, func(o *Options) {
		o.Durability = Async
		if change != nil {
			change(o)
		}
	})
}

// created names the listener of the begin of sessions.
func created(listener string) func(string, store.EventKind) []string {
	return func(_ string, kind store.EventKind) []string {
		if kind == store.EventCreated {
			return []string{listener}
		}
		return nil
	}
}

const salvageSessions = 300

// saved is a store for salvaging: sessions of which some were written twice,
// some signed in, every tenth ended; one listener is to be told.
func saved(t *testing.T, s *Store, from, to int) {
	t.Helper()
	s.Subscribe(created("shop/webhook/1"))
	for i := from; i < to; i++ {
		key := salvageKeyOf(i)
		rec := record(fmt.Sprintf(`{"n":%d,"fill":%q}`, i, strings.Repeat("x", 200)))
		if i%3 == 0 {
			rec.Principal = fmt.Sprintf("user%d", i)
		}
		w := store.Write{Record: rec, Events: []store.Event{{Kind: store.EventCreated}}}
		if err := s.Save(t.Context(), key, w, store.Create()); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			next := rec
			next.Data, next.Version = fmt.Appendf(nil, `{"n":%d,"again":true}`, i), rec.Version.Next()
			if err := s.Save(t.Context(), key, store.Write{Record: next}, store.IfVersion(rec.Version)); err != nil {
				t.Fatal(err)
			}
		}
		if i%10 == 9 {
			if err := s.Delete(t.Context(), key, store.Destroyed); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func salvageKeyOf(i int) store.Key {
	return store.Key{Manager: "shop", ID: store.ID{byte(i), byte(i >> 8)}}
}

// contents are the frames of a backup but its header, and its sessions by key.
func contents(t *testing.T, b []byte) (frames string, sessions map[store.Key]string) {
	t.Helper()
	a, err := archive.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	check := archive.Checker(domain.CheckRecord)
	sessions = make(map[store.Key]string)
	var all strings.Builder
	for {
		f, err := a.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Kind == archive.KindEnd {
			return all.String(), sessions
		}
		if err := check(f); err != nil {
			t.Fatal(err)
		}
		if f.Kind == archive.KindSession {
			sessions[f.Key] = string(f.Record.Data)
		}
		fmt.Fprintf(&all, "%+v\n", *f)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func nthTable(t *testing.T, dir string, n int) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(names) <= n {
		t.Fatal(names, err)
	}
	return names[n]
}

// damageTable changes the first table.
func damageTable(t *testing.T, dir string, change func(b []byte)) {
	t.Helper()
	name := nthTable(t, dir, 0)
	b := readFile(t, name)
	change(b)
	rewrite(t, name, b)
}

func damageBlock(t *testing.T, dir string) {
	damageTable(t, dir, func(b []byte) { b[len(b)/2] ^= 8; b[len(b)/2+40] ^= 8 })
}

func flipBlock(t *testing.T, dir string) {
	damageTable(t, dir, func(b []byte) { b[len(b)/2] ^= 8 })
}

func zeroPage(t *testing.T, dir string) {
	damageTable(t, dir, func(b []byte) { clear(b[len(b)/2&^4095:][:4096]) })
}

func zeroTable(t *testing.T, dir string) {
	name := nthTable(t, dir, 1)
	rewrite(t, name, make([]byte, len(readFile(t, name))))
}

// indexStart returns where the index of a table begins.
func indexStart(b []byte) int {
	end := len(b) - 4
	end -= int(binary.BigEndian.Uint32(b[end:])) + 4
	return end - int(binary.BigEndian.Uint32(b[end:]))
}

func indexLen(b []byte) int {
	end := len(b) - 4
	end -= int(binary.BigEndian.Uint32(b[end:])) + 4
	return int(binary.BigEndian.Uint32(b[end:]))
}

func flipIndex(t *testing.T, dir string) {
	damageTable(t, dir, func(b []byte) { b[len(b)-indexLen(b)/3] ^= 1 })
}

func damageIndex(t *testing.T, dir string) {
	damageTable(t, dir, func(b []byte) { b[len(b)-indexLen(b)/3] ^= 1; b[len(b)-indexLen(b)/4] ^= 1 })
}

func zeroIndex(t *testing.T, dir string) {
	damageTable(t, dir, func(b []byte) { clear(b[len(b)-indexLen(b)-20:]) })
}

func drop(pattern string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		remove(t, dir, filepath.Base(names[0]))
	}
}

func flipAll(file string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		name := filepath.Join(dir, file)
		b := readFile(t, name)
		b[len(b)/2] ^= 0x80
		b[1] ^= 0x80
		rewrite(t, name, b)
	}
}

func flipKeys(t *testing.T, dir string) {
	name := filepath.Join(dir, badger.KeyRegistryFileName)
	b := readFile(t, name)
	b[len(b)-1] ^= 1
	rewrite(t, name, b)
}
