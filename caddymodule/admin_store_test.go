package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// begin is when the sessions of tests began.
var begin = time.Unix(1_700_000_000, 0)

func newAbleStore() *ableStore {
	return newAble(func() time.Time { return begin.Add(time.Hour) })
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
