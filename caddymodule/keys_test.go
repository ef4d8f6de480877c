package caddymodule

import (
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

func TestInstancesAgreeOnTheFirstKey(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	const instances = 8
	tickets := make([]string, instances)
	rings := make([]*ticket.Ring, instances)
	var wg sync.WaitGroup
	for i := range instances {
		source, err := newKeySource(nil, storage, liveLogger("test"))
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
	s := newSite(t)
	older, newer := hex.EncodeToString(ticket.NewKey()), hex.EncodeToString(ticket.NewKey())
	t.Setenv("SESSIONPROXY_TEST_KEY", newer)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(older+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	routes := "session shop\nreverse_proxy " + app(t, countAndEcho)
	with := func(keys string) []byte {
		return s.config(s.store(s.dir, "async")+"\nticket_key "+keys, "", routes)
	}
	v := s.visitor()
	s.load(with("{file." + file + "}"))
	v.expect("/", http.StatusOK, "{}")
	s.load(with("{env.SESSIONPROXY_TEST_KEY} {file." + file + "}"))
	v.expect("/", http.StatusOK, `{"visits":1}`)
	config := with("{env.SESSIONPROXY_TEST_KEY}")
	if strings.Contains(string(config), newer) {
		t.Error("the key is in the configuration")
	}
	s.load(config)
	v.expect("/", http.StatusOK, "{}") // the old key is gone, and with it the ticket
	if _, err := os.Stat(filepath.Join(s.storage, filepath.FromSlash(keysFile))); !os.IsNotExist(err) {
		t.Errorf("a key was made although keys are configured: %v", err)
	}
}

func TestEncryptionKeys(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		size int
		bad  bool
	}{
		"none":               {"", 0, false},
		"16 bytes of hex":    {strings.Repeat("ab", 16), 16, false},
		"32 bytes of hex":    {strings.Repeat("ab", 32), 32, false},
		"24 bytes of base64": {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", 24, false},
		"base64 url":         {"_-ECAwQFBgcICQoLDA0ODw==", 16, false},
		"a newline after it": {strings.Repeat("ab", 16) + "\n", 16, false},
		"too short":          {"abcd", 0, true},
		"a phrase":           {"correct horse battery staple", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := decodeKey(c.text)
			if len(key) != c.size || (err != nil) != c.bad {
				t.Errorf("%d bytes, %v", len(key), err)
			}
			if err != nil && strings.Contains(err.Error(), c.text) {
				t.Errorf("the error repeats the key: %v", err)
			}
		})
	}
}

// TestAStoreWithoutItsKeysIsWarnedOf: a store that is brought to another
// machine without the ticket keys signs everybody out.
func TestAStoreWithoutItsKeysIsWarnedOf(t *testing.T) {
	const warning = "their tickets are void"
	s := newSite(t)
	logs := filepath.Join(t.TempDir(), "log")
	with := func(storage string) []byte {
		s.storage = storage
		return s.config("", "log {\n output file "+logs+"\n}", "session shop\nreverse_proxy "+app(t, counter))
	}
	s.load(with(s.storage))
	s.visitor().get("/")
	s.load(with(s.storage)) // again, with the key that is there
	s.stop()
	if text, err := os.ReadFile(logs); err != nil || strings.Contains(string(text), warning) {
		t.Fatalf("warned too early (%v)", err)
	}
	s.load(with(t.TempDir()))
	s.stop()
	if text, err := os.ReadFile(logs); err != nil || !strings.Contains(string(text), warning) || !strings.Contains(string(text), `"sessions":1`) {
		t.Fatalf("no warning (%v)", err)
	}
}
