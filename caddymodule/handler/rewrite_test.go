package handler

import (
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// Handlers behind the session see their own changes of the request in Caddy's
// placeholders, which know one request alone, however the session serves it.
func TestPlaceholdersFollowRewritesBehindTheSession(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `route /lossy/* {
		session lossy
		uri strip_prefix /lossy
		rewrite * /x{http.request.uri.path}
		method PUT
		respond "{http.request.method} {http.request.uri.path}"
	}
	route /again/* {
		session again {
			locking optimistic {
				on_conflict restart
			}
		}
		uri strip_prefix /again
		rewrite * /x{http.request.uri.path}
		method PUT
		respond "{http.request.method} {http.request.uri.path}"
	}`))
	for _, tc := range []struct{ name, path, accept string }{
		{"plain", "/lossy/b", "*/*"},
		{"may stream", "/lossy/b", "text/event-stream"},
		{"may be made again", "/again/b", "*/*"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, body := s.Visitor().Fetch(tc.path, "Accept", tc.accept); body != "PUT /x/b" {
				t.Fatalf("the request has become %q", body)
			}
		})
	}
}
