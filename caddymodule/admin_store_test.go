package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

func init() {
	caddy.RegisterModule(new(preparedStore))
}

// preparedStore is a store module for tests: it opens the store that the test
// has put under its name.
type preparedStore struct {
	Name string `json:"name"`
}

// prepared holds the stores of tests, by name.
var prepared sync.Map

func (*preparedStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: storeNamespace + ".prepared", New: func() caddy.Module { return new(preparedStore) }}
}

func (p *preparedStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return oneArg(d, &p.Name)
}

func (p *preparedStore) PoolKey() string { return "prepared:" + p.Name }

func (p *preparedStore) Open(*zap.Logger) (OpenStore, error) {
	st, ok := prepared.Load(p.Name)
	if !ok {
		return nil, errors.New("nothing is prepared")
	}
	return st.(OpenStore), nil
}

func (p *preparedStore) CompatibleWith(StoreProvider) error { return nil }

// prepare puts a store under a name of the test's own, and returns the line of
// the Caddyfile that means it.
func prepare(t *testing.T, st OpenStore) string {
	t.Helper()
	name := t.Name()
	for n := 2; ; n++ {
		if _, taken := prepared.LoadOrStore(name, st); !taken {
			break
		}
		name += "+"
	}
	t.Cleanup(func() { prepared.Delete(name) })
	return `store prepared "` + name + `"`
}

// ableStore has every ability of a store, and outlives its configurations.
type ableStore struct {
	*storetest.Memory
	updater   store.Updater
	stats     store.Stats
	backup    func(context.Context, io.Writer) error // instead of Memory's, if set
	countsErr error
}

func (s *ableStore) Close() error       { return nil }
func (s *ableStore) Stats() store.Stats { return s.stats }

func (s *ableStore) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	return s.updater.Update(ctx, key, change)
}

func (s *ableStore) Counts(ctx context.Context) ([]store.Count, error) {
	if s.countsErr != nil {
		return nil, s.countsErr
	}
	return s.Memory.Counts(ctx)
}

func (s *ableStore) Backup(ctx context.Context, w io.Writer) error {
	if s.backup != nil {
		return s.backup(ctx, w)
	}
	return s.Memory.Backup(ctx, w)
}

// bareStore has no ability at all.
type bareStore struct{ store.Store }

func (bareStore) Close() error { return nil }

// begin is when the sessions of tests began.
var begin = time.Unix(1_700_000_000, 0)

func newAbleStore() *ableStore {
	m := storetest.NewMemory(func() time.Time { return begin.Add(time.Hour) })
	return &ableStore{Memory: m, updater: m.WithUpdater().(store.Updater)}
}

// fill stores a session, the n-th of its manager (of at most 5), and returns its
// id. The later it begins, the earlier it ends.
func fill(t *testing.T, st store.Store, manager string, n byte, principal string, notices ...store.Notice) store.ID {
	t.Helper()
	id := store.ID{0: n, 15: 0xff}
	created := begin.Add(time.Duration(n) * time.Minute)
	err := st.Save(t.Context(), store.Key{Manager: manager, ID: id}, store.Write{Notices: notices, Record: store.Record{
		Data: []byte(`{"secret":"of ` + manager + `"}`), Created: created, Written: created, Accessed: created.Add(30 * time.Second),
		Idle: 2 * time.Hour, Absolute: begin.Add(2*time.Hour - time.Duration(n)*10*time.Minute), Principal: principal,
		Incarnation: 1, Version: store.Version{Counter: 3, Nonce: 5},
	}}, store.Create())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// adminMux routes as Caddy's admin endpoint does.
func adminMux() http.Handler {
	mux := http.NewServeMux()
	for _, route := range new(adminAPI).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handler.ServeHTTP(w, r); err != nil {
				http.Error(w, "handed to caddy: "+err.Error(), http.StatusInternalServerError)
			}
		})
	}
	return mux
}

// ask calls the admin API.
func ask(method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	adminMux().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}
