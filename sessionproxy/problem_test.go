package sessionproxy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestDetailsTellWhatToSendInstead sends what beginners send, and looks for the
// remedy in the problem. No value of the app is in it.
func TestDetailsTellWhatToSendInstead(t *testing.T) {
	r := newRig(t, nil)
	for _, tc := range []struct{ header, value, detail string }{
		{"Session-Principal", "alicesecret", `Session-Principal: malformed JSON: expected a JSON string such as "alice" at byte 0`},
		{"Session-Principal", `""`, "null is the way to forget the principal"},
		{"Session-Timeout", "3600", `Session-Timeout: malformed JSON: expected a JSON object such as {"n":1} at byte 0`},
		{"Session-Timeout", "{}", `as in {"idle":3600}`},
		{"Session-Timeout", `{"idle":3600,"secret":"` + strings.Repeat("x", 70_000) + `"}`, "Session-Timeout: it is longer than 1024 bytes"},
		{"Session-Action", "logout", `unknown action "logout"; the actions are destroy, regenerate, touch and rollback`},
		{"Session-Action", "secret=4111", "unknown action; the actions are"},
		{"Session-Action", strings.Repeat("x", 40), "unknown action; the actions are"},
		{"Session-Data", `{"a":1}, {"a":2}`, "Session-Data: sent 2 times; send it once"},
		{"Session-Data", "", "Session-Data: it has no value"},
		{"Session-Patch", `{"secret":`, "Session-Patch: malformed JSON: value does not end"},
		{"Session-Patch", `{secret:1}`, "expected a name in double quotes"},
		{"Session-Data", `{"secret":"` + strings.Repeat("x", 70_000) + `"}`, "Session-Data: session data is too large: a value of 70013 bytes, and max_size is 65536; raise it, and inline_limit with it unless the app reads the endpoint"},
	} {
		for _, forwarded := range []string{"", "X-Forwarded-For", "Forwarded", "Via"} {
			in := http.Header{}
			if forwarded != "" {
				in.Set(forwarded, "192.0.2.1")
			}
			got := r.do(http.MethodGet, "/", in, writes(tc.header, tc.value))
			var problem struct{ Detail string }
			if err := json.Unmarshal([]byte(got.body), &problem); err != nil || got.status != http.StatusBadGateway {
				t.Fatalf("%s: %d %s", tc.header, got.status, got.body)
			}
			switch {
			case forwarded != "" && problem.Detail != "":
				t.Errorf("%s: a visitor of another proxy reads %q", tc.header, problem.Detail)
			case forwarded == "" && !strings.Contains(problem.Detail, tc.detail):
				t.Errorf("%s: %.20s: the detail is %q, want %q", tc.header, tc.value, problem.Detail, tc.detail)
			}
			if strings.Contains(got.body, "secret") {
				t.Errorf("%s: a value is in %s", tc.header, got.body)
			}
		}
	}
}
