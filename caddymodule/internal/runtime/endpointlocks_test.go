package runtime_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestLocksAreVisible: which request has a session to itself, and how many wait.
func TestLocksAreVisible(t *testing.T) {
	s := caddytest.NewSite(t)
	a := newAsks(t)
	a.gate = make(chan chan struct{})
	s.Load(s.Config("", "", "session shop {\n locking serialized\n}\nreverse_proxy "+caddytest.App(t, a.ServeHTTP)))
	v := s.Visitor()
	v.Fetch("/begin")
	locks := func(method string) (list []adminapi.LockView, err error) {
		w := httptest.NewRecorder()
		caddytest.AdminMux().ServeHTTP(w, httptest.NewRequest(method, "/sessions/locks", nil))
		if w.Code != http.StatusOK {
			return nil, errors.New(w.Body.String())
		}
		var got struct{ Locks []adminapi.LockView }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Locks == nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
		return got.Locks, nil
	}
	if list, err := locks(http.MethodGet); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { v.Fetch("/wait") })
	open := <-a.gate
	wg.Go(func() { v.Fetch("/second?token=x") })
	var list []adminapi.LockView
	for len(list) == 0 || list[0].Waiting == 0 {
		list, _ = locks(http.MethodGet)
	}
	if l := list[0]; len(list) != 1 || l.Manager != "shop" || len(l.Session) != 22 || l.Method != http.MethodGet || l.Path != "/wait" || l.Waiting != 1 || l.Age < 0 {
		t.Errorf("%+v", list)
	}
	close(open)
	wg.Wait()
	if list, err := locks(http.MethodGet); err != nil || len(list) != 0 {
		t.Errorf("afterwards: %v, %v", list, err)
	}
	if _, err := locks(http.MethodDelete); err == nil {
		t.Error("DELETE is accepted")
	}
}
