package caddymodule_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestATryThatIsNotAnsweredStagesNothing has an upstream write at the endpoint
// and cut the connection. The request is tried again: by reverse_proxy, or by
// Go's transport where the connection had served a request before.
func TestATryThatIsNotAnsweredStagesNothing(t *testing.T) {
	for name, routes := range map[string]string{
		"another try of reverse_proxy":      "reverse_proxy APP {\nlb_retries 2\ntransport http {\nkeepalive off\n}\n}",
		"the transport's own on a dead one": "reverse_proxy APP",
		"behind a gateway that has written": "forward_auth APP {\nuri /gateway\n}\nreverse_proxy APP {\nlb_retries 2\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			var tries atomic.Int32
			add := func(r *http.Request, body string) {
				resp, err := http.Post(r.Header.Get("Session-Endpoint")+"/add", "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			}
			upstream := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/see":
					_, _ = io.WriteString(w, r.Header.Get("Session-Data"))
				case "/gateway":
					if r.Header.Get("X-Forwarded-Uri") == "/write" {
						add(r, `{"gateway":1}`)
					}
				case "/write":
					add(r, `{"n":1}`)
					if tries.Add(1) == 1 {
						panic(http.ErrAbortHandler) // cuts the connection
					}
				}
			})
			block := "session shop\n"
			if strings.Contains(routes, "forward_auth") {
				routes = "route {\n" + block + routes + "\n}"
				block = ""
			}
			endpoint := caddytest.FreeAddress(t)
			s.Load(s.Config(s.Store(s.Dir, "async")+"\nendpoint "+endpoint, "", block+strings.ReplaceAll(routes, "APP", upstream)))
			v := s.Visitor()
			v.Expect("/see", http.StatusOK, "{}")
			v.Expect("/write", http.StatusOK, "")
			want := `{"n":1}`
			if block == "" {
				want = `{"gateway":1,"n":1}`
			}
			v.Expect("/see", http.StatusOK, want)
			if n := tries.Load(); n != 2 {
				t.Errorf("the app was asked %d times, want 2", n)
			}
		})
	}
}
