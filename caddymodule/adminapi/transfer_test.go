package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/caddymodule/stores/badger"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/store"
)

// pipes is a listener without a network, for tests in a bubble of synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.conns <- there
	return here, nil
}

// inBubble runs a test against the admin API at a server with the time limit
// of Caddy's, on a clock that jumps. The store is open, and no configuration
// is active.
func inBubble(t *testing.T, st *caddytest.AbleStore, test func(t *testing.T, client *http.Client)) {
	t.Helper()
	caddytest.Prepared.Store(t.Name(), st)
	defer caddytest.Prepared.Delete(t.Name())
	provider := &caddytest.PreparedStore{Name: t.Name()}
	if _, err := runtime.AcquireStore(provider); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := runtime.ReleaseStore(provider); err != nil {
			t.Error(err)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		server := &http.Server{Handler: caddytest.AdminMux(), ReadTimeout: 10 * time.Second}
		var wg sync.WaitGroup
		wg.Go(func() { _ = server.Serve(listener) })
		transport := &http.Transport{DialContext: listener.dial}
		test(t, &http.Client{Transport: transport})
		transport.CloseIdleConnections()
		_ = server.Close()
		wg.Wait()
	})
}

func TestBackupIsRestored(t *testing.T) {
	st := caddytest.Shop(t, "")
	w := caddytest.Ask(http.MethodGet, "/sessions/backup", "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/octet-stream" || w.Header().Get("Content-Length") != "" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	copied := w.Body.Bytes()
	if w := caddytest.Ask(http.MethodHead, "/sessions/backup", ""); w.Code != http.StatusOK || st.Calls("backup") != 1 {
		t.Errorf("HEAD makes a backup")
	}
	w = caddytest.Ask(http.MethodPost, "/sessions/restore", string(copied))
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), sessionproxy.TypeNotEmpty) || st.Len() != 4 {
		t.Errorf("into a store in use: %d %s", w.Code, w.Body)
	}

	empty := caddytest.NewAbleStore()
	s := caddytest.NewSite(t)
	s.Load(s.Config(caddytest.Prepare(t, empty), "", "session shop\nrespond ok"))
	for name, body := range map[string][]byte{"cut off": copied[:len(copied)/2], "nothing": nil, "foreign": []byte("PK\x03\x04")} {
		w := caddytest.Ask(http.MethodPost, "/sessions/restore", string(body))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), sessionproxy.TypeBadBackup) || empty.Len() != 0 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	w = caddytest.Ask(http.MethodPost, "/sessions/restore", string(copied))
	if w.Code != http.StatusOK || w.Body.String() != "{\"restored\":4}\n" || empty.Len() != 4 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := caddytest.Ask(http.MethodGet, caddytest.OfShop+"/AwAAAAAAAAAAAAAAAAAA_w", ""); strings.TrimSpace(w.Body.String()) != caddytest.Third {
		t.Errorf("%s", w.Body)
	}
}

// TestBackupFailsInTheMiddle: what was received must not look like the whole.
func TestBackupFailsInTheMiddle(t *testing.T) {
	st := caddytest.Shop(t, "")
	for name, c := range map[string]struct {
		written int
		status  int
	}{"before": {0, 503}, "after a little": {10, 0}, "after much": {1 << 20, 200}} {
		st.BackupBy = func(_ context.Context, w io.Writer) error {
			if c.written > 0 {
				if _, err := w.Write(make([]byte, c.written)); err != nil {
					return err
				}
			}
			return fmt.Errorf("reading: %w", store.ErrUnavailable)
		}
		server := httptest.NewServer(caddytest.AdminMux())
		resp, err := http.Get(server.URL + "/sessions/backup")
		switch {
		case c.status == 0 && err == nil, c.status != 0 && (err != nil || resp.StatusCode != c.status):
			t.Errorf("%s: %v, %v", name, resp, err)
		case err == nil:
			n, err := io.Copy(io.Discard, resp.Body)
			if c.status == http.StatusOK && err == nil {
				t.Errorf("%s: %d bytes look like all", name, n)
			}
			_ = resp.Body.Close()
		}
		server.Close()
	}
}

// TestAdminCallDuringReload reloads to another store while a call is at the
// first one: the call ends there, and later calls see the other one.
func TestAdminCallDuringReload(t *testing.T) {
	old, next := caddytest.NewAbleStore(), caddytest.NewAbleStore()
	caddytest.Fill(t, old, "shop", 1, "old")
	caddytest.Fill(t, next, "shop", 2, "next")
	s := caddytest.NewSite(t)
	line := caddytest.Prepare(t, old)
	arrived, open := make(chan struct{}), make(chan struct{})
	old.SetBefore(func(op string, _ store.Key) error {
		if op == "page" {
			close(arrived)
			<-open
		}
		return nil
	})
	s.Load(s.Config(line, "", "session shop\nrespond ok"))
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() { done <- caddytest.Ask(http.MethodGet, caddytest.OfShop, "") }()
	<-arrived
	s.Load(s.Config(caddytest.Prepare(t, next), "", "session shop\nrespond ok"))
	for range 3 {
		if w := caddytest.Ask(http.MethodGet, caddytest.OfShop, ""); !strings.Contains(w.Body.String(), `"next"`) {
			t.Errorf("after the reload: %s", w.Body)
		}
	}
	if err := caddytest.Load(s.Config("store prepared missing", "", "session shop\nrespond ok")); err == nil {
		t.Error("a configuration without store was loaded")
	}
	if w := caddytest.Ask(http.MethodGet, caddytest.OfShop, ""); !strings.Contains(w.Body.String(), `"next"`) {
		t.Errorf("after a reload that failed: %s", w.Body)
	}
	close(open)
	if w := <-done; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"old"`) {
		t.Errorf("the call from before: %d %s", w.Code, w.Body)
	}
}

// TestAdminWithoutSessions: when no configuration has sessions, requests may
// still have one open store, and that is the one that is meant.
func TestAdminWithoutSessions(t *testing.T) {
	problem := func() string {
		var p adminProblem
		w := caddytest.Ask(http.MethodGet, "/sessions/managers", "")
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusServiceUnavailable {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		return p.Detail
	}
	if got := problem(); !strings.Contains(got, "0 session stores are open") {
		t.Error(got)
	}
	st := caddytest.NewAbleStore()
	caddytest.Fill(t, st, "shop", 1, "")
	line := caddytest.Prepare(t, st)
	b := runtime.NewProvider(&caddytest.PreparedStore{Name: strings.Trim(strings.TrimPrefix(line, "store prepared "), `"`)}, nil, zap.NewNop())
	if _, _, err := b.Acquire(); err != nil {
		t.Fatal(err)
	}
	if w := caddytest.Ask(http.MethodGet, "/sessions/managers", ""); w.Body.String() != "{\"managers\":[{\"id\":\"shop\",\"sessions\":1,\"configured\":false}]}\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := caddytest.Ask(http.MethodGet, caddytest.OfShop+"/AQAAAAAAAAAAAAAAAAAA_w?data=true", ""); w.Code != http.StatusForbidden {
		t.Errorf("data without a configuration that allows it: %d", w.Code)
	}
	other := &badger.Store{Dir: filepath.Join(t.TempDir(), "other"), Reserve: 1 << 20}
	if err := other.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if _, err := runtime.AcquireStore(other); err != nil {
		t.Fatal(err)
	}
	if got := problem(); !strings.Contains(got, "2 session stores are open") {
		t.Error(got)
	}
	if err := runtime.ReleaseStore(other); err != nil {
		t.Fatal(err)
	}
	b.Release()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := problem(); !strings.Contains(got, "0 session stores are open") {
		t.Error(got)
	}
}

// TestAdminAtCaddysEndpoint loads the module where it belongs.
func TestAdminAtCaddysEndpoint(t *testing.T) {
	st := caddytest.NewAbleStore()
	caddytest.Fill(t, st, "shop", 1, "")
	s := caddytest.NewSite(t)
	t.Cleanup(func() { // Caddy ends its admin endpoint when a configuration has none
		if err := caddytest.Load([]byte(`{"admin":{"disabled":true}}`)); err != nil {
			t.Error(err)
		}
	})
	address := caddytest.FreeAddress(t)
	var config map[string]any
	if err := json.Unmarshal(s.Config(caddytest.Prepare(t, st), "", "session shop\nrespond ok"), &config); err != nil {
		t.Fatal(err)
	}
	config["admin"] = map[string]any{"listen": address}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	s.Load(text)
	resp, err := http.Get("http://" + address + caddytest.OfShop + "?limit=7")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || strings.TrimSpace(string(body)) != `{"sessions":[`+caddytest.First+`]}` {
		t.Errorf("%s, %v", body, err)
	}
	st.BackupBy = func(_ context.Context, w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		return errors.New("no more")
	}
	resp, err = http.Get("http://" + address + "/sessions/backup")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes of a backup look like all", n)
	}
}
