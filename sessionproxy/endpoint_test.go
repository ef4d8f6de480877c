package sessionproxy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

const (
	merge     = "application/merge-patch+json"
	jsonpatch = "application/json-patch+json"
)

// TestEndpointCalls makes each call on {"a":1,"cart":{"items":[1,2]},"s":"x"},
// and looks at its answer and at what is committed in the end.
func TestEndpointCalls(t *testing.T) {
	const before = `{"a":1,"cart":{"items":[1,2]},"s":"x"}`
	for _, tc := range []struct {
		name, method, path, body, kind string
		status                         int
		answer, problem, after         string
	}{
		{"all the data", "GET", "/data", "", "", 200, before, "", before},
		{"a value", "GET", "/data/cart/items/1", "", "", 200, "2", "", before},
		{"a value by an escaped name", "GET", "/data/%61", "", "", 200, "1", "", before},
		{"a value that is not there", "GET", "/data/b", "", "", 404, "", "about:blank", before},
		{"an element behind the end", "GET", "/data/cart/items/2", "", "", 404, "", "about:blank", before},
		{"a path that is no pointer", "GET", "/data/~", "", "", 400, "", sessionproxy.TypeBadWrite, before},
		{"only the header", "HEAD", "/data", "", "", 200, "", "", before},

		{"replacing all", "PUT", "/data", ` { "z" : 1 } `, "", 200, `{"z":1}`, "", `{"z":1}`},
		{"replacing all by nothing", "PUT", "/data", `{}`, "", 200, `{}`, "", `{}`},
		{"replacing a value", "PUT", "/data/cart", `null`, "", 200, `null`, "", `{"a":1,"cart":null,"s":"x"}`},
		{"a value with new parents", "PUT", "/data/u/v", `"é"`, "", 200, `"\u00e9"`, "", `{"a":1,"cart":{"items":[1,2]},"s":"x","u":{"v":"\u00e9"}}`},
		{"appending", "PUT", "/data/cart/items/-", `3`, "", 200, "", "", `{"a":1,"cart":{"items":[1,2,3]},"s":"x"}`},
		{"a name that is not UTF-8", "PUT", "/data/%ff", `1`, "", 400, "", sessionproxy.TypeBadWrite, before},
		{"through a number", "PUT", "/data/a/b", `1`, "", 404, "", "about:blank", before},
		{"all by an array", "PUT", "/data", `[1]`, "", 400, "", sessionproxy.TypeBadWrite, before},
		{"duplicate names", "PUT", "/data", `{"a":1,"a":2}`, "", 400, "", sessionproxy.TypeBadWrite, before},
		{"no JSON", "PUT", "/data", `{`, "", 400, "", sessionproxy.TypeBadWrite, before},
		{"no body", "PUT", "/data", ``, "", 400, "", sessionproxy.TypeBadWrite, before},
		{"reserved", "PUT", "/data/$a", `1`, "", 400, "", sessionproxy.TypeBadWrite, before},
		{"too large", "PUT", "/data/long", `"` + strings.Repeat("x", 300) + `"`, "", 413, "", sessionproxy.TypeTooLarge, before},
		{"far too large", "PUT", "/data/long", `"` + strings.Repeat("x", 3000) + `"`, "", 413, "", sessionproxy.TypeTooLarge, before},

		{"merging", "PATCH", "/data", `{"a":2,"s":null}`, merge, 200, `{"a":2,"cart":{"items":[1,2]}}`, "", `{"a":2,"cart":{"items":[1,2]}}`},
		{"merging as plain JSON", "PATCH", "/data", `{"a":2}`, "application/json; charset=utf-8", 200, "", "", `{"a":2,"cart":{"items":[1,2]},"s":"x"}`},
		{"merging a value", "PATCH", "/data/cart", `{"n":1}`, merge, 200, `{"items":[1,2],"n":1}`, "", `{"a":1,"cart":{"items":[1,2],"n":1},"s":"x"}`},
		{"merging nothing into a value", "PATCH", "/data/cart", `{}`, merge, 200, `{"items":[1,2]}`, "", before},
		{"a scalar merged into a value", "PATCH", "/data/cart", `5`, merge, 200, `5`, "", `{"a":1,"cart":5,"s":"x"}`},
		{"a reserved name deeper down", "PATCH", "/data/cart", `{"$n":1}`, merge, 200, "", "", `{"a":1,"cart":{"items":[1,2],"$n":1},"s":"x"}`},
		{"merging into nothing", "PATCH", "/data/none", `{"n":1}`, merge, 404, "", "about:blank", before},
		{"a JSON Patch", "PATCH", "/data", `[{"op":"test","path":"/a","value":1},{"op":"add","path":"/cart/items/0","value":0}]`, jsonpatch, 200, "", "", `{"a":1,"cart":{"items":[0,1,2]},"s":"x"}`},
		{"a JSON Patch on a value", "PATCH", "/data/cart", `[{"op":"move","from":"/items/0","path":"/first"}]`, jsonpatch, 200, `{"items":[2],"first":1}`, "", `{"a":1,"cart":{"items":[2],"first":1},"s":"x"}`},
		{"a JSON Patch whose test fails", "PATCH", "/data", `[{"op":"remove","path":"/a"},{"op":"test","path":"/s","value":"y"}]`, jsonpatch, 409, "", sessionproxy.TypeConflict, before},
		{"a JSON Patch at an index out of range", "PATCH", "/data", `[{"op":"remove","path":"/a"},{"op":"add","path":"/cart/items/3","value":0}]`, jsonpatch, 404, "", "about:blank", before},
		{"a copy bomb", "PATCH", "/data", `[` + strings.TrimSuffix(strings.Repeat(`{"op":"copy","from":"/cart","path":"/cart/c"},`, 10), ",") + `]`, jsonpatch, 413, "", sessionproxy.TypeTooLarge, before},
		{"a JSON Patch that is none", "PATCH", "/data", `[{"op":"nop","path":""}]`, jsonpatch, 400, "", sessionproxy.TypeBadWrite, before},
		{"an unknown kind of patch", "PATCH", "/data", `{}`, "application/xml", 415, "", "about:blank", before},
		{"no kind of patch", "PATCH", "/data", `{}`, "", 415, "", "about:blank", before},

		{"removing a value", "DELETE", "/data/cart/items/0", "", "", 204, "", "", `{"a":1,"cart":{"items":[2]},"s":"x"}`},
		{"removing all", "DELETE", "/data", "", "", 204, "", "", `{}`},
		{"removing nothing", "DELETE", "/data/none", "", "", 404, "", "about:blank", before},

		{"adding", "POST", "/add", `{"a":2,"cart":{"total":-5}}`, "", 200, `{"a":3,"cart":{"total":-5}}`, "", `{"a":3,"cart":{"items":[1,2],"total":-5},"s":"x"}`},
		{"adding to text", "POST", "/add", `{"s":1}`, "", 400, "", sessionproxy.TypeBadWrite, before},
		{"adding beyond 2^53", "POST", "/add", `{"a":9007199254740992}`, "", 400, "", sessionproxy.TypeBadWrite, before},

		{"touching", "POST", "/touch", "", "", 204, "", "", before},
		{"committing nothing", "POST", "/commit", "", "", 204, "", "", before},
		{"rolling nothing back", "POST", "/rollback", "", "", 204, "", "", before},
		{"refreshing", "POST", "/refresh", "", "", 204, "", "", before},
		{"a timeout", "PUT", "/timeout", `{"idle":60}`, "", 204, "", "", before},
		{"a timeout of nothing", "PUT", "/timeout", `{}`, "", 400, "", sessionproxy.TypeBadWrite, before},
		{"a principal with a line break", "PUT", "/principal", `"a\nb"`, "", 400, "", sessionproxy.TypeBadWrite, before},
		{"an empty principal", "PUT", "/principal", `""`, "", 400, "", sessionproxy.TypeBadWrite, before},

		{"an unknown call", "GET", "/dat", "", "", 404, "", "about:blank", before},
		{"below a call that has nothing below", "POST", "/add/x", `{}`, "", 404, "", "about:blank", before},
		{"another method", "POST", "/data", `{}`, "", 405, "", "about:blank", before},
		{"another method on a verb", "GET", "/commit", "", "", 405, "", "about:blank", before},
		{"a method that nobody knows", "BREW", "", "", "", 405, "", "about:blank", before},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEndpointRig(t, func(_ *sessionproxy.Config, p *session.Policy) { p.MaxSize = 200 })
			in := e.begin(before)
			var got answer
			e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
				var header []string
				if tc.kind != "" {
					header = []string{"Content-Type", tc.kind}
				}
				got = e.call(tc.method, endpointOf(r)+tc.path, tc.body, header...)
			})
			if got.status != tc.status || tc.answer != "" && got.body != tc.answer {
				t.Errorf("answer %d %s, want %d %s", got.status, got.body, tc.status, tc.answer)
			}
			if tc.problem != "" && problemOf(got) != tc.problem {
				t.Errorf("problem %s in %s, want %s", problemOf(got), got.body, tc.problem)
			}
			if got.status == 405 && !strings.Contains(got.header.Get("Allow"), "OPTIONS") {
				t.Errorf("Allow: %s", got.header.Get("Allow"))
			}
			if got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control: %s", got.header.Get("Cache-Control"))
			}
			if after := e.data(in); after != tc.after {
				t.Errorf("committed %s, want %s", after, tc.after)
			}
		})
	}
}

func TestEndpointMetadataAndOptions(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"a":1}`)
	e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
		got := e.call("GET", endpointOf(r), "")
		var meta map[string]any
		if err := json.Unmarshal([]byte(got.body), &meta); err != nil || got.status != 200 {
			t.Errorf("%d %s", got.status, got.body)
		}
		if meta["id"] != r.Header.Get("Session-Id") || meta["state"] != "active" || meta["manager"] != "shop" || meta["size"] != 7.0 {
			t.Errorf("metadata %s", got.body)
		}
		if got := e.call("OPTIONS", endpointOf(r)+"/data", ""); got.status != 204 || got.header.Get("Allow") != "DELETE, GET, HEAD, OPTIONS, PATCH, PUT" {
			t.Errorf("options: %d, %s", got.status, got.header.Get("Allow"))
		}
	})
}

// TestEndpointConditions checks If-Match and If-None-Match against RFC 9110.
func TestEndpointConditions(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"a":1}`)
	e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
		ep := endpointOf(r)
		tag := e.call("GET", ep+"/data", "").tag()
		if len(tag) < 4 || tag[0] != '"' {
			t.Fatalf("ETag %s", tag)
		}
		for _, tc := range []struct {
			name, method, path, header, value string
			status                            int
		}{
			{"a reader that has it", "GET", "/data", "If-None-Match", tag, 304},
			{"a reader that has it, weakly", "GET", "/data", "If-None-Match", `"x", W/` + tag, 304},
			{"a reader that has another", "GET", "/data", "If-None-Match", `"x"`, 200},
			{"another version", "PUT", "/data/b", "If-Match", `"x"`, 412},
			{"a weak tag", "PUT", "/data/b", "If-Match", "W/" + tag, 412},
			{"a tag that does not end", "PUT", "/data/b", "If-Match", `"x`, 400},
			{"a tag without quotes", "PUT", "/data/b", "If-Match", `x`, 400},
			{"tags without commas", "PUT", "/data/b", "If-Match", `"x" "y"`, 400},
			{"no tag", "PUT", "/data/b", "If-Match", ``, 400},
			{"there is none", "PUT", "/data/b", "If-Match", `*`, 412},
			{"there is one", "PUT", "/data/a", "If-None-Match", `*`, 412},
			{"there is data", "PUT", "/data", "If-None-Match", `*`, 412},
			{"adding to another version", "POST", "/add", "If-Match", `"x"`, 412},
			{"removing another version", "DELETE", "/data", "If-Match", `"x"`, 412},
			{"committing another version", "POST", "/commit", "If-Match", `"x"`, 412},
			{"dropping another version", "POST", "/rollback", "If-Match", `"x"`, 412},
			{"destroying another version", "DELETE", "", "If-Match", `"x"`, 412},
		} {
			if got := e.call(tc.method, ep+tc.path, `{}`, tc.header, tc.value); got.status != tc.status {
				t.Errorf("%s: %d %s, want %d", tc.name, got.status, got.body, tc.status)
			} else if got.status == 412 && problemOf(got) != sessionproxy.TypeConflict {
				t.Errorf("%s: %s", tc.name, got.body)
			}
		}
		if got := e.call("GET", ep+"/data", ""); got.body != `{"a":1}` || got.tag() != tag {
			t.Errorf("a refused call had an effect: %s", got.body)
		}
		got := e.call("PUT", ep+"/data/b", `2`, "If-None-Match", `*`)
		if got.status != 200 || got.tag() == tag {
			t.Errorf("creating: %d %s", got.status, got.tag())
		}
		if old := e.call("PUT", ep+"/data/b", `3`, "If-Match", tag); old.status != 412 {
			t.Errorf("the tag is the same after a write: %d", old.status)
		}
		if got = e.call("PUT", ep+"/data/b", `3`, "If-Match", `"x", `+got.tag()); got.status != 200 {
			t.Errorf("among several: %d %s", got.status, got.body)
		}
	})
}

// TestBodiesOfCalls: what is not what it says it is.
func TestBodiesOfCalls(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"a":1}`)
	e.do("GET", "/", in, func(_ http.ResponseWriter, r *http.Request) {
		if got := e.call("PUT", endpointOf(r)+"/data", "{}", "Content-Encoding", "gzip"); got.status != 415 {
			t.Errorf("compressed: %d", got.status)
		}
		if got := e.call("PUT", endpointOf(r)+"/data/x", "\"\xff\""); got.status != 400 {
			t.Errorf("no UTF-8: %d", got.status)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpointOf(r)+"/data/x", io.LimitReader(endless{}, 1<<24))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := e.calls.Client().Do(req)
		if err == nil { // the connection may break first
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("endless: %d", resp.StatusCode)
			}
		}
		if got := e.call("GET", endpointOf(r)+"/data", ""); got.body != `{"a":1}` {
			t.Errorf("data became %s", got.body)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{'1'}, len(p))), nil }

// TestManyThreadsOfOneApp: each adds one, all at once, and none is lost.
func TestManyThreadsOfOneApp(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{}`)
	e.do("GET", "/", in, func(w http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 20 {
					if got := e.call("POST", endpointOf(r)+"/add", `{"n":1}`); got.status != 200 {
						t.Errorf("%d %s", got.status, got.body)
					}
				}
			})
		}
		wg.Wait()
		w.Header().Set("Session-Add", `{"n":1000}`)
	})
	if got := e.data(in); got != `{"n":1320}` {
		t.Fatalf("data is %s", got)
	}
}
