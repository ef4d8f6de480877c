package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"

	domain "github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// salvageKey is that of the encrypted stores.
var salvageKey = bytes.Repeat([]byte{7}, 32)

// TestSalvageOfAWholeStore: what is not damaged comes as by a backup.
func TestSalvageOfAWholeStore(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"plain":      nil,
		"compressed": func(o *Options) { o.Compress = true },
		"encrypted":  func(o *Options) { o.EncryptionKey = salvageKey },
		"both":       func(o *Options) { o.EncryptionKey, o.Compress = salvageKey, true },
	} {
		for _, how := range []string{"closed", "killed"} {
			t.Run(name+", "+how, func(t *testing.T) {
				dir, backup := t.TempDir(), bytes.Buffer{}
				s := openFast(t, dir, change)
				saved(t, s, 0, salvageSessions/2)
				shut(t, s)
				s = openFast(t, dir, change)
				saved(t, s, salvageSessions/2, salvageSessions)
				if err := s.Backup(t.Context(), &backup); err != nil {
					t.Fatal(err)
				}
				if how == "killed" {
					dir = t.TempDir()
					if err := os.CopyFS(dir, os.DirFS(s.opts.Dir)); err != nil {
						t.Fatal(err)
					}
				}
				shut(t, s)
				out, b, err := salvage(t, dir, func(o *SalvageOptions) { o.EncryptionKey = s.opts.EncryptionKey })
				if err != nil {
					t.Fatal(err)
				}
				if !out.Complete() || len(out.Faults) > 0 || out.Doubtful+out.Ended > 0 || out.Sessions != salvageSessions*9/10 || out.Deliveries != salvageSessions {
					t.Errorf("%+v", out)
				}
				want, _ := contents(t, backup.Bytes())
				if got, _ := contents(t, b); got != want {
					t.Errorf("another backup: %d bytes, and %d", len(got), len(want))
				}
			})
		}
	}
}

// TestSalvageOfADamagedStore: everything comes but what stood in the damage.
func TestSalvageOfADamagedStore(t *testing.T) {
	for name, tc := range map[string]struct {
		options func(*Options)
		damage  func(t *testing.T, dir string)
		least   int // sessions, of 270
		faults  string
		whole   bool // nothing is lost
	}{
		"a bit in a block":                       {nil, flipBlock, 270, "", true},
		"two bits in a block":                    {nil, damageBlock, 266, "1 of ", false},
		"two bits in an encrypted block":         {func(o *Options) { o.EncryptionKey = salvageKey }, damageBlock, 266, "1 of ", false},
		"a bit in a compressed block":            {func(o *Options) { o.Compress = true }, flipBlock, 200, "1 of ", false},
		"a bit in an encrypted block":            {func(o *Options) { o.EncryptionKey = salvageKey }, flipBlock, 270, "", true},
		"a page of zeros":                        {nil, zeroPage, 230, "blocks are damaged", false},
		"a bit in an index":                      {nil, flipIndex, 270, "", true},
		"two bits in an index":                   {nil, damageIndex, 270, "index is damaged", true},
		"no index at all":                        {nil, zeroIndex, 270, "index is damaged", false},
		"a bit in the manifest":                  {nil, flipAll(badger.ManifestFilename), 270, "MANIFEST: ", true},
		"no manifest, encrypted":                 {func(o *Options) { o.EncryptionKey = salvageKey }, drop(badger.ManifestFilename), 270, "MANIFEST: it is missing", true},
		"no manifest, compressed":                {func(o *Options) { o.Compress = true }, drop(badger.ManifestFilename), 270, "MANIFEST: it is missing", true},
		"a table that is missing":                {nil, func(t *testing.T, dir string) { remove(t, dir, filepath.Base(nthTable(t, dir, 1))) }, 100, "is missing", false},
		"the table with the name of the manager": {nil, drop("*.sst"), -1, "the name of a manager is lost", false},
		"a table of zeros":                       {nil, zeroTable, 100, "nothing in it can be read", false},
		"a damaged marker":                       {nil, flipAll(markerFile), 270, markerFile, true},
		"no marker":                              {nil, drop(markerFile), 270, markerFile, true},
		"damaged keys of the encryption":         {func(o *Options) { o.EncryptionKey = salvageKey }, flipKeys, 0, badger.KeyRegistryFileName, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var s *Store
			for i := range 2 { // each close makes a table
				s = openFast(t, dir, tc.options)
				saved(t, s, i*salvageSessions/2, (i+1)*salvageSessions/2)
				shut(t, s)
			}
			tc.damage(t, dir)
			out, b, err := salvage(t, dir, func(o *SalvageOptions) { o.EncryptionKey = s.opts.EncryptionKey })
			if tc.least == 0 {
				if !errors.Is(err, errNothing) || len(out.Faults) == 0 {
					t.Fatalf("%+v, %v", out, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, sessions := contents(t, b)
			t.Logf("%+v", out)
			if len(sessions) < tc.least || int64(len(sessions)) != out.Sessions || out.Complete() != tc.whole || !strings.Contains(strings.Join(out.Faults, "\n"), tc.faults) {
				t.Errorf("%d sessions, %+v", len(sessions), out)
			}
			for i := range salvageSessions {
				data, there := sessions[salvageKeyOf(i)]
				switch {
				case there && i%10 == 9:
					t.Errorf("session %d is back", i)
				case there && !strings.HasPrefix(data, fmt.Sprintf(`{"n":%d,`, i)):
					t.Errorf("session %d has %s", i, data)
				}
			}
			restored := openFast(t, t.TempDir(), nil)
			defer shut(t, restored)
			if n, err := restored.Restore(t.Context(), bytes.NewReader(b), domain.CheckRecord); err != nil || n != out.Sessions {
				t.Errorf("restored %d: %v", n, err)
			}
		})
	}
}

// TestSalvageOfADamagedLog goes on behind the damage.
func TestSalvageOfADamagedLog(t *testing.T) {
	for name, change := range map[string]func(*Options){"plain": nil, "encrypted": func(o *Options) { o.EncryptionKey = salvageKey }} {
		t.Run(name, func(t *testing.T) {
			dir, log := crashed(t, 100, change)
			b, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			half := len(bytes.TrimRight(b, "\x00")) / 2
			b[half] ^= 0x10
			rewrite(t, log, b)
			if out, _, err := salvage(t, dir, func(o *SalvageOptions) {
				if change != nil {
					o.EncryptionKey = salvageKey
				}
			}); err != nil || !out.Complete() || out.Sessions != 100 {
				t.Fatalf("one bit: %+v, %v", out, err)
			}
			b[half+30] ^= 0x10
			rewrite(t, log, b)
			options := func(o *SalvageOptions) {
				if change != nil {
					o.EncryptionKey = salvageKey
				}
			}
			out, _, err := salvage(t, dir, options)
			if err != nil || out.Complete() || out.Sessions < 98 || out.Doubtful != out.Sessions || len(out.Faults) != 1 {
				t.Fatalf("%+v, %v", out, err)
			}
			out, _, err = salvage(t, dir, func(o *SalvageOptions) { options(o); o.Certain = true })
			if err != nil || out.Sessions != 0 || out.Doubtful < 98 {
				t.Fatalf("%+v, %v", out, err)
			}
		})
	}
}

// TestSalvageLeavesOutWhatHasEnded: the deletion of a record is lost, and its
// index tells.
func TestSalvageLeavesOutWhatHasEnded(t *testing.T) {
	dir := t.TempDir()
	s := openFast(t, dir, nil)
	for i := range salvageSessions {
		create(t, s, salvageKeyOf(i), fmt.Sprintf(`{"n":%d,"fill":%q}`, i, strings.Repeat("x", 200)))
	}
	shut(t, s)
	s = openFast(t, dir, nil)
	for i := range salvageSessions {
		if err := s.Delete(t.Context(), salvageKeyOf(i), store.Destroyed); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, s)
	// The second table holds the deletions: the block with those of records.
	name := nthTable(t, dir, 1)
	b := readFile(t, name)
	damaged := 0
	var block fb.BlockOffset
	index := fb.GetRootAsTableIndex(b[indexStart(b):], 0)
	for i := range index.OffsetsLength() {
		if !index.Offsets(&block, i) {
			t.Fatal("the index is damaged")
		}
		if key := block.KeyBytes(); bytes.Compare(key, []byte{keySession}) >= 0 && bytes.Compare(key, []byte{keySession + 1}) < 0 {
			b[block.Offset()+block.Len()/3] ^= 4
			b[block.Offset()+block.Len()/3+9] ^= 4
			damaged++
		}
	}
	rewrite(t, name, b)
	out, _, err := salvage(t, dir, nil)
	if err != nil || damaged == 0 || out.Sessions != 0 || out.Ended == 0 || out.Doubtful != 0 {
		t.Fatalf("%d blocks damaged: %+v, %v", damaged, out, err)
	}
}

func TestSalvageRefuses(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, func(o *Options) { o.EncryptionKey = salvageKey })
	create(t, s, keyOf(1), `{}`)
	try := func(ctx context.Context, o SalvageOptions, want string) {
		t.Helper()
		o.Dir, o.Temp, o.Reserve = dir, t.TempDir(), 1
		var b bytes.Buffer
		if _, err := Salvage(ctx, o, &b); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) || b.Len() > 0 {
			t.Errorf("%d bytes, %v; want %q", b.Len(), err, want)
		}
	}
	try(t.Context(), SalvageOptions{EncryptionKey: salvageKey}, held)
	shut(t, s)
	try(t.Context(), SalvageOptions{}, otherKey)
	try(t.Context(), SalvageOptions{EncryptionKey: bytes.Repeat([]byte{8}, 32)}, otherKey)
	try(t.Context(), SalvageOptions{EncryptionKey: []byte("short")}, "16, 24 or 32")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	try(stopped, SalvageOptions{EncryptionKey: salvageKey}, context.Canceled.Error())
	dir = t.TempDir()
	try(t.Context(), SalvageOptions{}, errNothing.Error())
}
