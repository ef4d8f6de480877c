package caddytest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/store"
)

// Begin is when the sessions of tests began.
var Begin = time.Unix(1_700_000_000, 0)

// NewAbleStore returns one whose clock stands still, an hour after Begin.
func NewAbleStore() *AbleStore {
	return newAble(func() time.Time { return Begin.Add(time.Hour) })
}

// Fill stores a session, the n-th of its manager (of at most 5), and returns its
// id. The later it begins, the earlier it ends.
func Fill(t *testing.T, st store.Store, manager string, n byte, principal string, events ...store.Event) store.ID {
	t.Helper()
	id := store.ID{0: n, 15: 0xff}
	created := Begin.Add(time.Duration(n) * time.Minute)
	err := st.Save(t.Context(), store.Key{Manager: manager, ID: id}, store.Write{Events: events, Record: store.Record{
		Data: []byte(`{"secret":"of ` + manager + `"}`), Created: created, Written: created, Accessed: created.Add(30 * time.Second),
		Idle: 2 * time.Hour, Absolute: Begin.Add(2*time.Hour - time.Duration(n)*10*time.Minute), Principal: principal,
		Incarnation: 1, Version: store.Version{Counter: 3, Nonce: 5},
	}}, store.Create())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Subscribe has the listeners get all events of the store, whatever its
// configurations say.
func Subscribe(st store.Outbox, listeners ...string) {
	st.Subscribe(func(string, store.EventKind) []string { return listeners })
}

// AdminMux routes as Caddy's admin endpoint does.
func AdminMux() http.Handler {
	mux := http.NewServeMux()
	module, err := caddy.GetModule(runtime.AdminName)
	if err != nil {
		panic(err) // the test imports no admin API
	}
	for _, route := range module.New().(caddy.AdminRouter).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handler.ServeHTTP(w, r); err != nil {
				http.Error(w, "handed to caddy: "+err.Error(), http.StatusInternalServerError)
			}
		})
	}
	return mux
}

// Ask calls the admin API.
func Ask(method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	AdminMux().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// OfShop is the path of the sessions of the manager shop.
const OfShop = "/sessions/managers/shop/sessions"

// fields of a session, by its manager's third and first one, as the API shows them.
const (
	Third = `{"id":"AwAAAAAAAAAAAAAAAAAA_w","created":1700000180,"accessed":1700000210,"written":1700000180,"expires":1700005400,"principal":"alice","size":20,"version":"3-0000000000000005"}`
	First = `{"id":"AQAAAAAAAAAAAAAAAAAA_w","created":1700000060,"accessed":1700000090,"written":1700000060,"expires":1700006600,"size":20,"version":"3-0000000000000005"}`
)

// Shop has three sessions of a configured manager, two of them alice's, and
// one of a manager that is not configured any more.
func Shop(t *testing.T, options string) *AbleStore {
	t.Helper()
	st := NewAbleStore()
	s := NewSite(t)
	s.Load(s.Config(Prepare(t, st)+"\n"+options, "", "session shop\nrespond ok"))
	Fill(t, st, "shop", 1, "")
	Fill(t, st, "shop", 2, "alice")
	Fill(t, st, "shop", 3, "alice")
	Fill(t, st, "left", 1, "alice")
	return st
}
