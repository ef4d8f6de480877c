package handler

import (
	"net/http"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

func TestPlaceholdersInLaterRoutes(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `
	session shop
	@staff expression {http.session.data.role} == "staff"
	handle /login {
		reverse_proxy `+caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Patch", `{"role":"staff","n":1.50,"yes":true,"o":{"a":["x","y"]},"odd":"a\u0000\nb"}`)
		w.Header().Set("Session-Principal", `"alice"`)
	})+`
	}
	handle /show {
		respond "{http.session.manager} {http.session.state} {http.session.new} {http.session.principal} {http.session.data.n} {http.session.data.yes} {http.session.data.o.a.1} [{http.session.data.o}{http.session.data.none}{http.session.other}{http.session.problem}] {http.session.data.odd}"
	}
	handle /id {
		respond {http.session.id}
	}
	handle /app {
		reverse_proxy `+caddytest.App(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Header.Get("Session-Id"))) })+`
	}
	handle @staff {
		respond staff
	}
	respond "not for you" 403`))
	v := s.Visitor()
	v.Expect("/", http.StatusForbidden, "not for you")
	v.Expect("/show", http.StatusOK, "shop new true     [] ")
	v.Fetch("/login")
	v.Expect("/", http.StatusOK, "staff")
	v.Expect("/show", http.StatusOK, "shop active false alice 1.5 true y [] ab")
	_, id := v.Fetch("/app")
	if len(id) != 22 {
		t.Errorf("session id %q", id)
	}
	v.Expect("/id", http.StatusOK, id)
}

func TestErrorRoutesMayHaveASessionOfTheirOwn(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `
	session shop
	error 404
	handle_errors {
		session pages
		respond "{http.session.manager} {http.error.status_code}"
	}`))
	s.Visitor().Expect("/", http.StatusNotFound, "pages 404")
}
