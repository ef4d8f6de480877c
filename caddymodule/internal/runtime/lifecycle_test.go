package runtime_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/caddymodule/stores/badger"
)

// TestReloadUnderLoad writes from many clients on kept connections while the
// configuration is loaded again and again. Caddy itself may drop a connection
// that its client uses at the moment of a reload; but a request that has
// reached the app is answered, and each answered write is stored, once.
func TestReloadUnderLoad(t *testing.T) {
	s := caddytest.NewSite(t)
	var reached sync.Map
	config := s.Config("", "", "session shop\nreverse_proxy "+caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Store(r.Header.Get("X-Request"), true)
		caddytest.Counter(w, r)
	}))
	s.Load(config)

	const clients, reloads = 8, 6
	stop := make(chan struct{})
	visitors := make([]*caddytest.Visitor, clients)
	writes := make([]int, clients)
	var lost sync.Map
	var wg sync.WaitGroup
	for i := range clients {
		v := s.Visitor()
		visitors[i] = v
		v.Expect("/", http.StatusOK, "")
		writes[i] = 1
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", i, n)
				switch status, err := post(v, id); {
				case err != nil:
					lost.Store(id, err)
				case status != http.StatusOK:
					t.Errorf("status %d during a reload", status)
				default:
					writes[i]++
				}
			}
		})
	}
	for range reloads {
		s.Load(config)
	}
	close(stop)
	wg.Wait()
	lost.Range(func(id, err any) bool {
		if _, ok := reached.Load(id); ok {
			t.Errorf("request %v reached the app and was not answered: %v", id, err)
		}
		return true
	})
	for i, v := range visitors {
		if got := v.Data("visits"); got != writes[i] {
			t.Errorf("%d visits are stored, and %d were acknowledged", got, writes[i])
		}
	}
	if n := runtime.References("badger:" + s.Dir); n != 1 {
		t.Errorf("%d references to the store after the reloads, want 1", n)
	}
}

// post sends a write that the transport never repeats by itself.
func post(v *caddytest.Visitor, id string) (status int, err error) {
	r, err := http.NewRequest(http.MethodPost, v.Base, strings.NewReader("x"))
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-Request", id)
	resp, err := v.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func TestFailedReloadLeavesTheOldConfigServing(t *testing.T) {
	s := caddytest.NewSite(t)
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.CountAndEcho)
	s.Load(s.Config("", "", routes))
	v := s.Visitor()
	v.Expect("/", http.StatusOK, "{}")

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ sessions, want string }{
		"durability changed":  {s.Store(s.Dir, "sync"), "changing durability of the session store in " + s.Dir},
		"compression changed": {strings.Replace(s.Store(s.Dir, "async"), "{", "{\ncompression zstd", 1), "changing compression of the session store in " + s.Dir},
		"reserve changed":     {strings.Replace(s.Store(s.Dir, "async"), "1MiB", "2MiB", 1), "changing reserve"},
		"key changed":         {strings.Replace(s.Store(s.Dir, "async"), "reserve", "encryption_key 000102030405060708090a0b0c0d0e0f\nreserve", 1), "changing encryption_key"},
		"not a directory":     {s.Store(file, "async"), "opening session store"},
		"bad ticket key":      {s.Store(s.Dir, "async") + "\nticket_key nonsense", "reading ticket key 1"},
		"missing ticket key":  {s.Store(s.Dir, "async") + "\nticket_key {env.SESSIONPROXY_NO_SUCH_KEY}", "resolving ticket key 1"},
	} {
		err := caddytest.Load(s.Config(c.sessions, "", routes))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: loading gave %v, want %q", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "nonsense") || strings.Contains(err.Error(), "0001020304")) {
			t.Errorf("%s: the error tells the key: %v", name, err)
		}
		if strings.HasSuffix(name, "changed") && !strings.Contains(err.Error(), "restart the server") {
			t.Errorf("%s: no remedy in %v", name, err)
		}
		if resp, _ := v.Fetch("/"); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: the old configuration answers %d", name, resp.StatusCode)
		}
	}
	if got := v.Data("visits"); got != 8 {
		t.Errorf("%d visits, want 8", got)
	}
}

func TestReloadMovesToAnotherDirectory(t *testing.T) {
	s := caddytest.NewSite(t)
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.CountAndEcho)
	s.Load(s.Config("", "", routes))
	v := s.Visitor()
	v.Expect("/", http.StatusOK, "{}")

	logs := filepath.Join(t.TempDir(), "log")
	other := filepath.Join(t.TempDir(), "other")
	s.Load(s.Config(s.Store(other, "sync"), "log {\n output file "+logs+"\n}", routes))
	text, err := os.ReadFile(logs)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`uses another session store than the one before`, `"store":"badger:` + other + `"`, `"before":"badger:` + s.Dir + `"`,
		`"msg":"session store is open","dir":"` + other + `","sessions":0,"durability":"sync","format":`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the log does not say %s:\n%s", want, text)
		}
	}
	v.Expect("/", http.StatusOK, "{}") // a store that knows nothing of the session
	if caddytest.IsStoreOpen(s.Dir) {
		t.Error("the store in the old directory is still open")
	}
	s.Load(s.Config("", "", routes))
	v.Expect("/", http.StatusOK, "{}") // its ticket was replaced in between
	if caddytest.IsStoreOpen(other) {
		t.Error("the store in the other directory is still open")
	}
}

func TestOneDatabaseForEverySpellingOfItsDirectory(t *testing.T) {
	s := caddytest.NewSite(t)
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.CountAndEcho)
	s.Load(s.Config("", "", routes))
	v := s.Visitor()
	v.Expect("/", http.StatusOK, "{}")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(s.Dir), link); err != nil {
		t.Fatal(err)
	}
	s.Load(s.Config(s.Store(link+"/./x/../db", "async"), "", routes))
	v.Expect("/", http.StatusOK, `{"visits":1}`)
}

func TestValidateOpensNothing(t *testing.T) {
	s := caddytest.NewSite(t)
	config := s.Config("", "", "session shop\nrespond ok")
	if err := caddytest.Validate(config); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("validation made the database's directory: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.Storage, keysFile)); !os.IsNotExist(err) {
		t.Errorf("validation made a ticket key: %v", err)
	}

	// What another process sees: the directory is locked by a running server.
	held, err := badgerIn(t, s.Dir).Open(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := caddytest.Validate(config); err != nil {
		t.Errorf("validating beside a running server: %v", err)
	}
	if err := caddytest.Load(config); err == nil {
		t.Error("a second server took the database")
	} else if !strings.Contains(err.Error(), s.Dir) {
		t.Errorf("the error does not name the directory: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	s.Load(config)
}

func TestValidateInTheServersProcess(t *testing.T) {
	s := caddytest.NewSite(t)
	config := s.Config("", "", "session shop\nreverse_proxy "+caddytest.App(t, caddytest.CountAndEcho))
	s.Load(config)
	if err := caddytest.Validate(config); err != nil {
		t.Fatal(err)
	}
	s.Visitor().Expect("/", http.StatusOK, "{}")
}

// TestRequestInFlightKeepsItsStore reloads to a configuration without the
// store while a request is at the app: it still commits, and then the store closes.
func TestRequestInFlightKeepsItsStore(t *testing.T) {
	s := caddytest.NewSite(t)
	g := caddytest.NewGate(t, caddytest.Counter)
	config := s.Config("", "", "session shop\nhandle /slow {\nreverse_proxy "+caddytest.App(t, g.ServeHTTP)+"\n}\nreverse_proxy "+caddytest.App(t, caddytest.Echo))
	s.Load(config)
	v := s.Visitor()
	done := make(chan *http.Response, 1)
	go func() {
		resp, _ := v.Fetch("/slow")
		done <- resp
	}()
	<-g.Arrived
	s.Load(s.Config(s.Store(filepath.Join(t.TempDir(), "other"), "async"), "", "respond moved"))
	if !caddytest.IsStoreOpen(s.Dir) {
		t.Error("the store was closed under the request")
	}
	g.LetGo()
	resp := <-done
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 {
		t.Errorf("answer of the request in flight: %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	// Loading again meets the closing of the store, and waits for it.
	s.Load(config)
	v.Expect("/", http.StatusOK, `{"visits":1}`)
}

// TestRequestThatBeginsAfterItsConfig lets a request of an old configuration
// reach the session handler when the store has been given back already.
func TestRequestThatBeginsAfterItsConfig(t *testing.T) {
	s := caddytest.NewSite(t)
	provider := badgerIn(t, s.Dir)
	b := runtime.NewProvider(provider, nil, zap.NewNop())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Acquire(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil || !caddytest.IsStoreOpen(s.Dir) {
		t.Errorf("releasing twice closed the store under a request (%v)", err)
	}
	b.Release()
	// The closing runs on its own; opening again waits for it.
	if _, _, err := b.Acquire(); err != nil {
		t.Fatal(err)
	}
	b.Release()
	m := runtime.Lifetime(provider.PoolKey())
	m.Lock()   // waits until it has closed
	m.Unlock() //nolint:staticcheck // empty on purpose
}

// badgerIn returns the provider of a store in a directory.
func badgerIn(t *testing.T, dir string) *badger.Store {
	t.Helper()
	provider := &badger.Store{Dir: dir, Reserve: 1 << 20}
	if err := provider.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return provider
}

// keysFile is where the ticket keys are in the storage.
const keysFile = "sessionproxy/ticket_keys"
