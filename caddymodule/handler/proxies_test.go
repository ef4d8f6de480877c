package handler

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestWritesInHandledResponsesAreStored has handle_response, and a gateway that
// shares the session, take responses away in which an app writes.
func TestWritesInHandledResponsesAreStored(t *testing.T) {
	const site = "session shop\nhandle /see {\nreverse_proxy SEE\n}\n"
	for name, tc := range map[string]struct{ routes, want string }{
		"another answer":        {site + "reverse_proxy APP {\n@x header X-Accel-Redirect *\nhandle_response @x {\nrespond file\n}\n}", `{"n":1}`},
		"without a matcher":     {site + "reverse_proxy APP {\nhandle_response {\nheader X-Own 1\nrespond file\n}\n}", `{"n":1}`},
		"in a block":            {site + "handle {\nreverse_proxy APP {\nhandle_response {\nrespond file\n}\n}\n}", `{"n":1}`},
		"of a failure":          {site + "reverse_proxy APP {\nhandle_response {\nrespond sorry\n}\n}\nrequest_header X-Fail 1", `{}`},
		"that is copied as is":  {site + "reverse_proxy APP {\nhandle_response {\ncopy_response_headers\nrespond file\n}\n}", `{"n":1}`},
		"that is copied whole":  {site + "reverse_proxy APP {\nhandle_response {\ncopy_response\n}\n}", `{"n":1}`},
		"without our headers":   {site + "reverse_proxy APP {\nhandle_response {\ncopy_response_headers {\nexclude Session-Add\n}\nrespond file\n}\n}", `{}`},
		"of a gateway":          {"route {\nsession shop\nreverse_proxy /see SEE\nforward_auth APP {\nuri /\n}\nreverse_proxy APP\n}", `{"n":2}`},
		"of a gateway it hides": {site + "forward_auth APP {\nuri /\n}\nreverse_proxy APP", `{"n":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			write := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Session-Id") == "" {
					return // the gateway that gets no session writes none
				}
				w.Header().Set("Session-Add", `{"n":1}`)
				w.Header().Set("X-Accel-Redirect", "/file")
				if r.Header.Get("X-Fail") != "" {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			s.Load(s.Config("", "", strings.NewReplacer("APP", write, "SEE", caddytest.App(t, caddytest.Echo)).Replace(tc.routes)))
			v := s.Visitor()
			resp, _ := v.Fetch("/file")
			for header := range resp.Header {
				if strings.HasPrefix(header, "Session-") {
					t.Errorf("the client got %s", header)
				}
			}
			if _, data := v.Fetch("/see"); data != tc.want {
				t.Errorf("stored: %s, want %s (%d)", data, tc.want, resp.StatusCode)
			}
		})
	}
}
