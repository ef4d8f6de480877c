package sessionproxy_test

import (
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// Data that was stored while more was accepted reaches no app by header. That
// is told unless the app is one that reads the endpoint.
func TestDataThatIsWithheldIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		inline, most int
		endpoint     bool
		forward      sessionproxy.Forward
		told         bool
	}{
		"an app that reads headers":               {100, 100, true, sessionproxy.ForwardData, true},
		"no endpoint to read it at":               {100, 400, false, sessionproxy.ForwardData, true},
		"an app that reads the endpoint at times": {100, 400, true, sessionproxy.ForwardData, false},
		"an app that always reads the endpoint":   {100, 100, true, sessionproxy.ForwardEndpoint, false},
		"an app that wants no data":               {100, 100, true, sessionproxy.ForwardID, false},
		"it fits":                                 {1000, 1000, true, sessionproxy.ForwardData, false},
	} {
		t.Run(name, func(t *testing.T) {
			data, told := `{"a":"`+strings.Repeat("x", 200)+`"}`, 0
			var config *sessionproxy.Config
			var policy session.Policy
			r := newRig(t, func(c *sessionproxy.Config, p *session.Policy) { config, policy = c, *p })
			visitor := r.begin(data)
			config.InlineLimit, policy.MaxSize, config.Forward = tc.inline, tc.most, tc.forward
			config.Withheld = func(size int) {
				if told++; size != len(data) {
					t.Errorf("%d bytes are told, and there are %d", size, len(data))
				}
			}
			if tc.endpoint {
				config.Endpoint = sessionproxy.NewEndpoint(sessionproxy.EndpointConfig{URL: "http://127.0.0.1:2020", Metrics: config.Metrics})
			}
			var err error
			if config.Manager, err = session.NewManager("shop", policy, session.Options{Provider: session.Fixed(r.store), NewCredential: sessionproxy.CredentialSource("shop")}); err != nil {
				t.Fatal(err)
			}
			if r.handler, err = sessionproxy.NewHandler(*config); err != nil {
				t.Fatal(err)
			}
			seen := r.seen(visitor)
			if got := seen.Get("Session-State"); got != "active" {
				t.Fatalf("the session is %s", got)
			}
			if _, ok := seen["Session-Data"]; ok != (name == "it fits") {
				t.Errorf("Session-Data is there: %v", ok)
			}
			if n := r.counter("withheld_data_total"); (told == 1) != tc.told || (n == 1) != tc.told || told > 1 || n > 1 {
				t.Errorf("told %d times, counted %v, want %v", told, n, tc.told)
			}
		})
	}
}
