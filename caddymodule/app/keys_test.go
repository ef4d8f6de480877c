package app

import (
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

func TestInstancesAgreeOnTheFirstKey(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	const instances = 8
	tickets := make([]string, instances)
	rings := make([]*ticket.Ring, instances)
	var wg sync.WaitGroup
	for i := range instances {
		source, err := newKeySource(nil, storage, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			ring, err := source.Ring()
			if err != nil {
				t.Error(err)
				return
			}
			rings[i], tickets[i] = ring, ring.Sign("shop", ticket.New())
		})
	}
	wg.Wait()
	for i := range instances {
		if _, err := rings[i].Verify("shop", tickets[(i+1)%instances]); err != nil {
			t.Errorf("instance %d refuses the ticket of the next one: %v", i, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(storage.Path, filepath.FromSlash(keysFile)))
	if err != nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("%d lines in the file of keys, %v", strings.Count(string(text), "\n"), err)
	}
}

func TestConfiguredKeysRotate(t *testing.T) {
	s := caddytest.NewSite(t)
	older, newer := hex.EncodeToString(ticket.NewKey()), hex.EncodeToString(ticket.NewKey())
	t.Setenv("SESSIONPROXY_TEST_KEY", newer)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(older+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.CountAndEcho)
	with := func(keys string) []byte {
		return s.Config(s.Store(s.Dir, "async")+"\nticket_key "+keys, "", routes)
	}
	v := s.Visitor()
	s.Load(with("{file." + file + "}"))
	v.Expect("/", http.StatusOK, "{}")
	s.Load(with("{env.SESSIONPROXY_TEST_KEY} {file." + file + "}"))
	v.Expect("/", http.StatusOK, `{"visits":1}`)
	config := with("{env.SESSIONPROXY_TEST_KEY}")
	if strings.Contains(string(config), newer) {
		t.Error("the key is in the configuration")
	}
	s.Load(config)
	v.Expect("/", http.StatusOK, "{}") // the old key is gone, and with it the ticket
	if _, err := os.Stat(filepath.Join(s.Storage, filepath.FromSlash(keysFile))); !os.IsNotExist(err) {
		t.Errorf("a key was made although keys are configured: %v", err)
	}
}

// TestAStoreWithoutItsKeysIsWarnedOf: a store that is brought to another
// machine without the ticket keys signs everybody out.
func TestAStoreWithoutItsKeysIsWarnedOf(t *testing.T) {
	const warning = "their tickets are void"
	s := caddytest.NewSite(t)
	logs := filepath.Join(t.TempDir(), "log")
	with := func(storage string) []byte {
		s.Storage = storage
		return s.Config("", "log {\n output file "+logs+"\n}", "session shop\nreverse_proxy "+caddytest.App(t, caddytest.Counter))
	}
	s.Load(with(s.Storage))
	s.Visitor().Fetch("/")
	s.Load(with(s.Storage)) // again, with the key that is there
	s.Stop()
	if text, err := os.ReadFile(logs); err != nil || strings.Contains(string(text), warning) {
		t.Fatalf("warned too early (%v)", err)
	}
	s.Load(with(t.TempDir()))
	s.Stop()
	if text, err := os.ReadFile(logs); err != nil || !strings.Contains(string(text), warning) || !strings.Contains(string(text), `"sessions":1`) {
		t.Fatalf("no warning (%v)", err)
	}
}
