package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func isStoreOpen(dir string) bool {
	return isOpen(&BadgerStore{resolved: badgerSettings{dir: dir}})
}

// TestReloadUnderLoad writes from many clients on kept connections while the
// configuration is loaded again and again. Caddy itself may drop a connection
// that its client uses at the moment of a reload; but a request that has
// reached the app is answered, and each answered write is stored, once.
func TestReloadUnderLoad(t *testing.T) {
	s := newSite(t)
	var reached sync.Map
	config := s.config("", "", "session shop\nreverse_proxy "+app(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Store(r.Header.Get("X-Request"), true)
		counter(w, r)
	}))
	s.load(config)

	const clients, reloads = 8, 6
	stop := make(chan struct{})
	visitors := make([]*visitor, clients)
	writes := make([]int, clients)
	var lost sync.Map
	var wg sync.WaitGroup
	for i := range clients {
		v := s.visitor()
		visitors[i] = v
		v.expect("/", http.StatusOK, "")
		writes[i] = 1
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", i, n)
				switch status, err := v.post(id); {
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
		s.load(config)
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
		if got := v.data("visits"); got != writes[i] {
			t.Errorf("%d visits are stored, and %d were acknowledged", got, writes[i])
		}
	}
	if n, _ := databases.References((&BadgerStore{resolved: badgerSettings{dir: s.dir}}).PoolKey()); n != 1 {
		t.Errorf("%d references to the store after the reloads, want 1", n)
	}
}

// post sends a write that the transport never repeats by itself.
func (v *visitor) post(id string) (status int, err error) {
	r, err := http.NewRequest(http.MethodPost, v.base, strings.NewReader("x"))
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
	s := newSite(t)
	routes := "session shop\nreverse_proxy " + app(t, countAndEcho)
	s.load(s.config("", "", routes))
	v := s.visitor()
	v.expect("/", http.StatusOK, "{}")

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ sessions, want string }{
		"durability changed":  {s.store(s.dir, "sync"), "changing durability of the session store in " + s.dir},
		"compression changed": {strings.Replace(s.store(s.dir, "async"), "{", "{\ncompression zstd", 1), "changing compression of the session store in " + s.dir},
		"reserve changed":     {strings.Replace(s.store(s.dir, "async"), "1MiB", "2MiB", 1), "changing reserve"},
		"key changed":         {strings.Replace(s.store(s.dir, "async"), "reserve", "encryption_key 000102030405060708090a0b0c0d0e0f\nreserve", 1), "changing encryption_key"},
		"not a directory":     {s.store(file, "async"), "opening session store"},
		"bad ticket key":      {s.store(s.dir, "async") + "\nticket_key nonsense", "reading ticket key 1"},
		"missing ticket key":  {s.store(s.dir, "async") + "\nticket_key {env.SESSIONPROXY_NO_SUCH_KEY}", "resolving ticket key 1"},
	} {
		err := load(s.config(c.sessions, "", routes))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: loading gave %v, want %q", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "nonsense") || strings.Contains(err.Error(), "0001020304")) {
			t.Errorf("%s: the error tells the key: %v", name, err)
		}
		if strings.HasSuffix(name, "changed") && !strings.Contains(err.Error(), "restart the server") {
			t.Errorf("%s: no remedy in %v", name, err)
		}
		if resp, _ := v.get("/"); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: the old configuration answers %d", name, resp.StatusCode)
		}
	}
	if got := v.data("visits"); got != 8 {
		t.Errorf("%d visits, want 8", got)
	}
}

func TestReloadMovesToAnotherDirectory(t *testing.T) {
	s := newSite(t)
	routes := "session shop\nreverse_proxy " + app(t, countAndEcho)
	s.load(s.config("", "", routes))
	v := s.visitor()
	v.expect("/", http.StatusOK, "{}")

	logs := filepath.Join(t.TempDir(), "log")
	other := filepath.Join(t.TempDir(), "other")
	s.load(s.config(s.store(other, "sync"), "log {\n output file "+logs+"\n}", routes))
	text, err := os.ReadFile(logs)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`uses another session store than the one before`, `"store":"badger:` + other + `"`, `"before":"badger:` + s.dir + `"`,
		`"msg":"session store is open","dir":"` + other + `","sessions":0,"durability":"sync","format":`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the log does not say %s:\n%s", want, text)
		}
	}
	v.expect("/", http.StatusOK, "{}") // a store that knows nothing of the session
	if isStoreOpen(s.dir) {
		t.Error("the store in the old directory is still open")
	}
	s.load(s.config("", "", routes))
	v.expect("/", http.StatusOK, "{}") // its ticket was replaced in between
	if isStoreOpen(other) {
		t.Error("the store in the other directory is still open")
	}
}

func TestOneDatabaseForEverySpellingOfItsDirectory(t *testing.T) {
	s := newSite(t)
	routes := "session shop\nreverse_proxy " + app(t, countAndEcho)
	s.load(s.config("", "", routes))
	v := s.visitor()
	v.expect("/", http.StatusOK, "{}")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(s.dir), link); err != nil {
		t.Fatal(err)
	}
	s.load(s.config(s.store(link+"/./x/../db", "async"), "", routes))
	v.expect("/", http.StatusOK, `{"visits":1}`)
}

func TestValidateOpensNothing(t *testing.T) {
	s := newSite(t)
	config := s.config("", "", "session shop\nrespond ok")
	if err := validate(config); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("validation made the database's directory: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.storage, keysFile)); !os.IsNotExist(err) {
		t.Errorf("validation made a ticket key: %v", err)
	}

	// What another process sees: the directory is locked by a running server.
	held, err := (&BadgerStore{resolved: badgerSettings{dir: s.dir, reserve: 1 << 20}}).Open(liveLogger("test"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(config); err != nil {
		t.Errorf("validating beside a running server: %v", err)
	}
	if err := load(config); err == nil {
		t.Error("a second server took the database")
	} else if !strings.Contains(err.Error(), s.dir) {
		t.Errorf("the error does not name the directory: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	s.load(config)
}

func TestValidateInTheServersProcess(t *testing.T) {
	s := newSite(t)
	config := s.config("", "", "session shop\nreverse_proxy "+app(t, countAndEcho))
	s.load(config)
	if err := validate(config); err != nil {
		t.Fatal(err)
	}
	s.visitor().expect("/", http.StatusOK, "{}")
}

func validate(config []byte) error {
	cfg := new(caddy.Config)
	if err := json.Unmarshal(config, cfg); err != nil {
		return err
	}
	return caddy.Validate(cfg)
}

// TestRequestInFlightKeepsItsStore reloads to a configuration without the
// store while a request is at the app: it still commits, and then the store closes.
func TestRequestInFlightKeepsItsStore(t *testing.T) {
	s := newSite(t)
	g := newGate(t, counter)
	config := s.config("", "", "session shop\nhandle /slow {\nreverse_proxy "+app(t, g.ServeHTTP)+"\n}\nreverse_proxy "+app(t, echo))
	s.load(config)
	v := s.visitor()
	done := make(chan *http.Response, 1)
	go func() {
		resp, _ := v.get("/slow")
		done <- resp
	}()
	<-g.arrived
	s.load(s.config(s.store(filepath.Join(t.TempDir(), "other"), "async"), "", "respond moved"))
	if !isStoreOpen(s.dir) {
		t.Error("the store was closed under the request")
	}
	g.letGo()
	resp := <-done
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 {
		t.Errorf("answer of the request in flight: %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	// Loading again meets the closing of the store, and waits for it.
	s.load(config)
	v.expect("/", http.StatusOK, `{"visits":1}`)
}

// TestRequestThatBeginsAfterItsConfig lets a request of an old configuration
// reach the session handler when the store has been given back already.
func TestRequestThatBeginsAfterItsConfig(t *testing.T) {
	s := newSite(t)
	b := newBackend(&BadgerStore{resolved: badgerSettings{dir: s.dir, reserve: 1 << 20}}, liveLogger("test"))
	if err := b.release(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Borrow(); err != nil {
		t.Fatal(err)
	}
	if err := b.release(); err != nil || !isStoreOpen(s.dir) {
		t.Errorf("releasing twice closed the store under a request (%v)", err)
	}
	b.Return()
	// The closing runs on its own; opening again waits for it.
	if _, _, err := b.Borrow(); err != nil {
		t.Fatal(err)
	}
	b.Return()
	m, _ := lifetimes.Load(b.provider.PoolKey())
	m.(*sync.Mutex).Lock()   // waits until it has closed
	m.(*sync.Mutex).Unlock() //nolint:staticcheck // empty on purpose
}

// countAndEcho counts a visit and answers with the data from before it.
func countAndEcho(w http.ResponseWriter, r *http.Request) {
	if counter(w, r); r.Header.Get("X-Read") == "" {
		echo(w, r)
	}
}

// data returns a number in the visitor's data, as the app sees it next.
func (v *visitor) data(name string) int {
	v.t.Helper()
	_, body := v.get("/", "X-Read", "yes")
	var data map[string]int
	if body != "" {
		if err := json.Unmarshal([]byte(body), &data); err != nil {
			v.t.Errorf("reading %q: %v", body, err)
		}
	}
	return data[name]
}
