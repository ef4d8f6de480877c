package handler

import (
	"bytes"
	"net/http"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// inlineApp is an app that runs in Caddy itself, so that it sees the request's
// variables.
type inlineApp struct{}

var inlined atomic.Pointer[http.HandlerFunc]

func init() { caddy.RegisterModule(inlineApp{}) }

func (inlineApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.inline_app", New: func() caddy.Module { return new(inlineApp) }}
}

func (inlineApp) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	(*inlined.Load())(w, r)
	return nil
}

// inline puts the app in the place of `respond inline`.
func inline(s *caddytest.Site, config []byte, h http.HandlerFunc) []byte {
	s.T.Helper()
	inlined.Store(&h)
	place := []byte(`{"body":"inline","handler":"static_response"}`)
	if !bytes.Contains(config, place) {
		s.T.Fatalf("no place for the app in %s", config)
	}
	return bytes.ReplaceAll(config, place, []byte(`{"handler":"inline_app"}`))
}

// What an attempt leaves behind may still read the variables of its request:
// the dialling of a connection that was not needed in the end does. So a reader that
// serves the request next has variables of its own: another attempt those that
// came with the request, an error route those of the attempt that failed.
func TestEachPassHasItsOwnVariables(t *testing.T) {
	for _, tc := range []struct {
		name, write string
		conflict    bool
		status      int
		second      any // what the second pass finds of the first one
	}{
		{"another attempt", `{"n":2}`, true, http.StatusOK, nil},
		{"an error route", `{`, false, http.StatusTeapot, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			first, second := s.Visitor(), s.Visitor()
			second.Jar = first.Jar
			var passes []uintptr
			var values []any
			s.Load(inline(s, s.Config("", "", `session shop {
				locking optimistic {
					on_conflict restart
				}
			}
			respond inline
			handle_errors {
				respond inline
			}`), func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path != "/":
					w.Header().Set("Session-Patch", `{"n":"`+r.URL.Path+`"}`)
					return
				case tc.conflict && len(passes) == 0:
					second.Fetch("/meddle")
				}
				vars := r.Context().Value(caddyhttp.VarsCtxKey)
				passes = append(passes, reflect.ValueOf(vars).Pointer())
				values = append(values, caddyhttp.GetVar(r.Context(), "passed"))
				caddyhttp.SetVar(r.Context(), "passed", len(passes))
				if r.Context().Value(caddyhttp.ErrorCtxKey) != nil {
					w.WriteHeader(http.StatusTeapot)
					return
				}
				w.Header().Set("Session-Patch", tc.write)
			}))
			first.Fetch("/begin")
			if resp, body := first.Fetch("/"); resp.StatusCode != tc.status {
				t.Fatalf("status %d %s", resp.StatusCode, body)
			}
			if len(passes) != 2 || passes[0] == passes[1] || !slices.Equal(values, []any{nil, tc.second}) {
				t.Fatalf("passes %x saw %v", passes, values)
			}
		})
	}
}
