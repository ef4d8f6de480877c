package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/stores/badger"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/badgerstore"
)

// TestSalvageCommand: what it prints, its files and its exit status.
func TestSalvageCommand(t *testing.T) {
	const key = "000102030405060708090a0b0c0d0e0f"
	raw, err := badger.DecodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir, out := t.TempDir(), t.TempDir()
	s, err := badgerstore.Open(badgerstore.Options{Dir: dir, EncryptionKey: []byte(raw), Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		now := time.Now()
		rec := store.Record{
			Data: fmt.Appendf(nil, `{"fill":%q}`, strings.Repeat("x", 300)), Created: now, Written: now, Accessed: now,
			Idle: time.Hour, Absolute: now.Add(time.Hour), Incarnation: store.NewIncarnation(), Version: store.Version{}.Next(),
		}
		if err := s.Save(t.Context(), store.Key{Manager: "shop", ID: store.ID{byte(i)}}, store.Write{Record: rec}, store.Create()); err != nil {
			t.Fatal(err)
		}
	}
	file, config := filepath.Join(out, "sessions.bak"), filepath.Join(out, "config.json")
	t.Setenv("SALVAGE_KEY", key)
	if err := os.WriteFile(config, []byte(`{"apps":{"sessions":{"store":{"engine":"badger","encryption_key":"{env.SALVAGE_KEY}"}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(status int, want string, args ...string) string {
		t.Helper()
		stdout, stderr, got := runSessions(t, "", "", append([]string{"salvage"}, args...)...)
		if got != status || !strings.Contains(stdout+stderr, want) || strings.Contains(stdout+stderr, key) {
			t.Errorf("%v: [%d] %s%s", args, got, stdout, stderr)
		}
		return stdout
	}
	given := "--encryption-key={env.SALVAGE_KEY}"
	run(1, "another process has it open", given, dir, file)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	run(1, "encryption key", dir, file)
	run(1, "16, 24 or 32 bytes", "--encryption-key=short", dir, file)
	run(1, "SALVAGE_NONE", "--encryption-key={env.SALVAGE_NONE}", dir, file)
	run(2, "choose another place", given, dir, filepath.Join(dir, "sessions.bak"))
	run(2, "choose another place", given, "--temp", dir, dir, file)
	run(2, "wrong number", dir)
	run(1, "looking for the store", filepath.Join(dir, "none"), file)
	run(1, "nothing in it can be read", given, t.TempDir(), file)
	if _, err := os.Stat(file); err == nil {
		t.Error("a file is there although all has failed")
	}
	run(0, "sessions.bak: 200 sessions, 0 events for listeners", "--config", config, dir, file)

	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	clear(b[len(b)/2:][:4096])
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	run(3, "blocks are damaged", given, dir, file)
	var view salvagedView
	if err := json.Unmarshal([]byte(run(3, "not everything could be read", given, "--json", dir, file)), &view); err != nil {
		t.Fatal(err)
	}
	if view.Complete || view.Sessions < 150 || view.Sessions+view.LostSessions != 200 || len(view.Faults) != 1 {
		t.Errorf("%+v", view)
	}
	if clear := run(3, "not everything", given, dir, "-"); len(clear) < 1000 {
		t.Errorf("%d bytes on standard output", len(clear))
	}
	b, err = os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	restored, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir(), Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := restored.Restore(t.Context(), bytes.NewReader(b), session.CheckRecord); err != nil || n != view.Sessions {
		t.Errorf("restored %d, %v", n, err)
	}
	if err := restored.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 2 {
		t.Errorf("there are %v, %v", left, err)
	}
}
