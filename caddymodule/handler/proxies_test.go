package handler

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// inErrorRoutes takes the subroute away that the adapter makes of handle_errors.
var inErrorRoutes = strings.NewReplacer(`"errors":{"routes":[{"handle":[{"handler":"subroute","routes":[`, `"errors":{"routes":[`, `]}]}]},"automatic_https"`, `]},"automatic_https"`)

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
		"in a named route":      {site + "handle {\ninvoke up\n}", `{"n":1}`},
		"in a named one's":      {"handle /see {\nsession shop\nreverse_proxy SEE\n}\nhandle {\ninvoke named\n}", `{"n":1}`},
		"that is intercepted":   {site + "handle {\nintercept {\nhandle_response {\nrespond file\n}\n}\nreverse_proxy APP\n}", `{"n":1}`},
		"on an error route":     {site[:len("session shop\n")] + "handle /see {\nreverse_proxy SEE\n}\nhandle {\nerror 404\n}\nhandle_errors {\nsession shop\nreverse_proxy APP {\nhandle_response {\nrespond file\n}\n}\n}", `{"n":1}`},
		"in another's response": {"handle /see {\nsession shop\nreverse_proxy SEE\n}\nhandle {\nreverse_proxy SEE {\nhandle_response {\nroute {\nsession shop\nroute {\nreverse_proxy APP {\nhandle_response {\nrespond file\n}\n}\n}\n}\n}\n}\n}", `{"n":1}`},
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
			apps := strings.NewReplacer("APP", write, "SEE", caddytest.App(t, caddytest.Echo))
			s.Named = apps.Replace("&(up) {\nreverse_proxy APP {\nhandle_response {\nrespond file\n}\n}\n}\n&(named) {\nhandle {\nsession shop\ninvoke up\n}\n}")
			config := s.Config("", "", apps.Replace(tc.routes))
			if name == "on an error route" {
				config = []byte(inErrorRoutes.Replace(string(config)))
			}
			s.Load(config)
			if name == "in a named one's" { // which of the two is provisioned first depends on chance
				for range 9 {
					v := s.Visitor()
					v.Fetch("/file")
					v.Expect("/see", http.StatusOK, tc.want)
					s.Load(config)
				}
			}
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
