package handler

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
)

func init() {
	caddy.RegisterModule(new(hearer))
}

// hearer is a listener of tests: `listener hearer <kind>...`.
type hearer struct {
	Kinds []event.Kind `json:"kinds"`
}

func (*hearer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: app.ListenerNamespace + ".hearer", New: func() caddy.Module { return new(hearer) }}
}

func (h *hearer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	for _, arg := range d.RemainingArgs() {
		h.Kinds = append(h.Kinds, event.Kind(arg))
	}
	return nil
}

// provisioned counts the listeners that were provisioned.
var provisioned atomic.Int64

func (*hearer) Provision(caddy.Context) error {
	provisioned.Add(1)
	return nil
}

func (h *hearer) EventKinds() []event.Kind { return h.Kinds }

// Handle fails, so that what was told still waits.
func (*hearer) Handle(context.Context, event.Event) error { return errors.New("not now") }

// openStore returns what is open under that key of the pool; nil if nothing is.
func openStore(key string) *runtime.PooledStore {
	for _, db := range runtime.OpenStores() {
		if db.Provider.PoolKey() == key {
			return db
		}
	}
	return nil
}

// listening returns the listeners, with the kinds of events that they subscribe to.
func listening(db *runtime.PooledStore) map[string][]event.Kind {
	all := make(map[string][]event.Kind)
	for name, s := range db.Node.Subscriptions.All() {
		all[name] = s.Kinds
	}
	return all
}

func TestListenersOfAConfiguration(t *testing.T) {
	s := caddytest.NewSite(t)
	_, line := caddytest.NewMemory(t, time.Now)
	upstream := "reverse_proxy " + caddytest.App(t, caddytest.Writer)
	before := provisioned.Load()
	shop := "session shop {\nlistener hearer delete\nlistener remove_files uploads {\nroot /uploads\n}\nlistener hearer create save\n}\n"
	s.Load(s.Config(line, "", "handle /cart/* {\n"+shop+upstream+"\n}\nhandle /a/* {\nsession admin {\nlistener hearer rollback\n}\n"+upstream+"\n}\nhandle {\n"+shop+upstream+"\n}"))
	db := openStore("prepared:" + t.Name())
	want := map[string][]event.Kind{
		"shop/hearer/1": {"delete"}, "shop/hearer/2": {"create", "save"}, "shop/remove_files/1": {"delete"}, "admin/hearer/1": {"rollback"},
	}
	if got := listening(db); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("listening are %v, want %v", got, want)
	}

	if n := provisioned.Load() - before; n != 3 { // two of the shop, in both of its places, and one of the admin
		t.Errorf("%d listeners were loaded, want 3", n)
	}

	// Managers know their listeners: what ends is kept until they have heard it.
	v := s.Visitor()
	_, id := v.Fetch("/cart/")
	v.Expect("/out", http.StatusOK, id)
	waiting, err := db.Store.(store.Outbox).Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(waiting, func(b store.Backlog) bool { return b.Listener == "shop/hearer/1" && b.Waiting == 1 }) {
		t.Errorf("waiting are %+v", waiting)
	}

	// A configuration that fails leaves them; one that loads replaces them.
	if err := caddytest.Load(s.Config(line, "", "session shop {\nlistener hearer nothing\n}\nrespond ok")); err == nil {
		t.Error("a listener of an unknown kind of events was loaded")
	}
	if got := listening(db); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("after a failed reload listening are %v", got)
	}
	s.Load(s.Config(line, "", "session shop {\nlistener hearer create\n}\nrespond ok"))
	if got := listening(db); !maps.EqualFunc(got, map[string][]event.Kind{"shop/hearer/1": {"create"}}, slices.Equal) {
		t.Errorf("after a reload listening are %v", got)
	}
	s.Load(s.Config(line, "", "respond ok"))
	if got := listening(db); len(got) != 0 {
		t.Errorf("without listeners listening are %v", got)
	}
}

func TestListenersThatAreRefused(t *testing.T) {
	s := caddytest.NewSite(t)
	_, line := caddytest.NewMemory(t, time.Now)
	for _, tc := range []struct{ name, listeners, want string }{
		{"no module", `[{"path":"a"}]`, "needs the name of its module"},
		{"no name", `[{"module":7}]`, "needs the name of its module"},
		{"no object", `["hearer"]`, "reading session listener"},
		{"unknown module", `[{"module":"exec"}]`, "sessions.listeners.exec"},
		{"no listener", `[{"module":"deaf"}]`, "deaf is not a session listener"},
		{"unknown kind", `[{"module":"hearer","kinds":["end"]}]`, `there are no events of the kind "end"`},
		{"unknown option", `[{"module":"remove_files","path":"a","root":"/a","follow":true}]`, "follow"},
		{"bad option", `[{"module":"remove_files","path":"a..b","root":"/a"}]`, "reading path 'a..b'"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := s.Config(line, "", "session shop\nrespond ok")
			config = []byte(strings.Replace(string(config), `"manager":"shop"`, `"manager":"shop","listeners":`+tc.listeners, 1))
			if !json.Valid(config) {
				t.Fatalf("%s", config)
			}
			if err := caddytest.Validate(config); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if err := caddytest.Validate([]byte(strings.Replace(string(s.Config(line, "", "session off\nrespond ok")), `"off":true`, `"off":true,"listeners":[{"module":"hearer"}]`, 1))); err == nil {
		t.Error("session off takes a listener")
	}
}

// TestStoreThatCannotServe has a manager that needs more than its store gives.
func TestStoreThatCannotServe(t *testing.T) {
	for option, want := range map[string]string{
		"listener hearer delete":     "session manager shop has the option listener",
		"max_per_principal 1 refuse": "session manager shop has the option max_per_principal",
		"rotate_every 1h":            "",
	} {
		t.Run(option, func(t *testing.T) {
			s := caddytest.NewSite(t)
			routes := "session shop {\n" + option + "\n}\nrespond ok"
			err := caddytest.Load(s.Config("store plain", "", routes))
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			if want != "" && openStore("plain") != nil {
				t.Error("the store that was refused is still open")
			}
			_, line := caddytest.NewMemory(t, time.Now)
			s.Load(s.Config(line, "", routes))
		})
	}
}
