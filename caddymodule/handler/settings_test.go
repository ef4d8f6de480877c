package handler

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// policyOf returns the policy that a handler's JSON comes to.
func policyOf(t *testing.T, text string) app.Policy {
	t.Helper()
	h := new(Handler)
	if err := json.Unmarshal([]byte(text), h); err != nil {
		t.Fatal(err)
	}
	s, err := h.resolve()
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.registration("here")
	if err != nil {
		t.Fatal(err)
	}
	return n.Policy
}

// TestPolicyCountsOptionsAndDefaults states options of a policy in other words,
// and others that are not the same.
func TestPolicyCountsOptionsAndDefaults(t *testing.T) {
	for name, tc := range map[string]struct {
		one, other string
		differs    []string
	}{
		"defaults": {`{"manager":"a"}`, `{"manager":"a","idle_timeout":"30m","max_idle_timeout":"1800s","absolute_timeout":"12h","locking":{"policy":"lossy"},
			"create":"on_write","forward":"data","inline_limit":4096,"max_size":4096,"commit_on":"success","on_store_failure":"closed","on_end":"close",
			"ticket":{"cookie":{"name":"a_ticket","path":"/","same_site":"lax","secure":"auto"}}}`, nil},
		"place behind gateways": {`{"manager":"a"}`, `{"manager":"a","hide_from_gateways":true}`, nil},
		"empty lists":           {`{"manager":"a"}`, `{"manager":"a","listeners":[],"read_only":[],"ticket":{}}`, nil},
		"case of a header":      {`{"manager":"a","ticket":{"header":{"name":"x-session"}}}`, `{"manager":"a","ticket":{"header":{"name":"X-Session"}}}`, nil},
		"order in a matcher": {`{"manager":"a","read_only":[{"header":{"X":["1"],"Y":["2"]}}]}`,
			`{"manager":"a","read_only":[{"header":{"Y":["2"],"X":["1"]}}]}`, nil},
		"order in a listener": {`{"manager":"a","listeners":[{"module":"webhook","url":"https://a.example/"}]}`,
			`{"manager":"a","listeners":[{"url":"https://a.example/","module":"webhook"}]}`, nil},
		"cookies":            {`{"manager":"a","cookies":{}}`, `{"manager":"a","forward":"id","cookies":{"begin":"response","max_size":16384}}`, nil},
		"another timeout":    {`{"manager":"a"}`, `{"manager":"a","idle_timeout":"31m"}`, []string{"idle_timeout", "max_idle_timeout"}},
		"another value":      {`{"manager":"a","passive":[{"path":["/a"]}]}`, `{"manager":"a","passive":[{"path":["/b"]}]}`, []string{"passive"}},
		"another login":      {`{"manager":"a","cookies":{}}`, `{"manager":"a","cookies":{"login":[{"path":["/b"]}]}}`, []string{"cookies.login"}},
		"another replayable": {`{"manager":"a","locking":{"policy":"optimistic"}}`, `{"manager":"a","locking":{"policy":"optimistic","on_conflict":["fail"]}}`, []string{"locking.on_conflict"}},
	} {
		t.Run(name, func(t *testing.T) {
			one, other := policyOf(t, tc.one), policyOf(t, tc.other)
			if got := one.Differences(other); !slices.Equal(got, tc.differs) || one.Equal(other) != (len(tc.differs) == 0) {
				t.Errorf("equal: %t, differences %q, want %q", one.Equal(other), got, tc.differs)
			}
		})
	}
}

// TestOnePolicyInAnotherOrderLoads gives one manager to two handlers, with the
// members of a matcher in two orders.
func TestOnePolicyInAnotherOrderLoads(t *testing.T) {
	const first, second = `"header":{"X":["1"],"Y":["2"]}`, `"header":{"Y":["2"],"X":["1"]}`
	session := "session shop {\nread_only {\nheader X 1\nheader Y 2\n}\n}\nrespond ok\n"
	s := caddytest.NewSite(t)
	config := string(s.Config("", "", "handle /a/* {\n"+session+"}\nhandle {\n"+session+"}"))
	if strings.Count(config, first) != 2 {
		t.Fatalf("no %s twice in %s", first, config)
	}
	s.Load([]byte(strings.Replace(config, first, second, 1)))
	// Another value is another policy, and the error names both places.
	err := caddytest.Load([]byte(strings.Replace(config, first, `"header":{"Y":["2"],"X":["2"]}`, 1)))
	const want = "session manager 'shop' has another policy at server srv0 than at server srv0: they differ in read_only; give both the same, or one of them another name"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("loading another policy: %v", err)
	}
}
