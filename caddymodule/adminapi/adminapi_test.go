package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/store"
)

func TestAdminReads(t *testing.T) {
	st := caddytest.Shop(t, "admin_data on")
	st.Reported = store.Stats{Batches: 4, Writes: 9, SweptThrough: caddytest.Begin, DiskBytes: 1 << 20}
	second := strings.NewReplacer("AwAA", "AgAA", "1700000180", "1700000120", "1700000210", "1700000150", "1700005400", "1700006000").Replace(caddytest.Third)
	for _, c := range []struct{ name, path, body, want string }{
		{"managers", "/sessions/managers", "", `{"managers":[{"id":"left","sessions":1,"configured":false},{"id":"shop","sessions":3,"configured":true}]}`},
		{"newest first", caddytest.OfShop, "", `{"sessions":[` + caddytest.Third + "," + second + "," + caddytest.First + `]}`},
		{"by expiry", caddytest.OfShop + "?order=expires", "", `{"sessions":[` + caddytest.Third + "," + second + "," + caddytest.First + `]}`},
		{"of a principal", caddytest.OfShop + "?principal=alice&order=created", "", `{"sessions":[` + caddytest.Third + "," + second + `]}`},
		{"of a principal, in the body", caddytest.OfShop, `{"principal":"alice"}`, `{"sessions":[` + caddytest.Third + "," + second + `]}`},
		{"of nobody who is known", caddytest.OfShop + "?principal=bob", "", `{"sessions":[]}`},
		{"from the start", caddytest.OfShop + "?limit=1000&cursor=", "", `{"sessions":[` + caddytest.Third + "," + second + "," + caddytest.First + `]}`},
		{"of a manager that is gone", "/sessions/managers/left/sessions", "", `{"sessions":[` + strings.Replace(caddytest.First, `"size"`, `"principal":"alice","size"`, 1) + `]}`},
		{"one", caddytest.OfShop + "/AwAAAAAAAAAAAAAAAAAA_w", "", caddytest.Third},
		{"one, without data", caddytest.OfShop + "/AwAAAAAAAAAAAAAAAAAA_w?data=false", "", caddytest.Third},
		{"one, with data", caddytest.OfShop + "/AwAAAAAAAAAAAAAAAAAA_w?data=true", "", strings.TrimSuffix(caddytest.Third, "}") + `,"data":{"secret":"of shop"}}`},
		{"no dead letters", "/sessions/dead-letters", "", `{"dead_letters":[]}`},
		{"locks", "/sessions/locks", "", `{"locks":[]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := caddytest.Ask(http.MethodGet, c.path, c.body)
			if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || got != c.want {
				t.Errorf("%d %s\nwant %s", w.Code, got, c.want)
			}
			if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%v", w.Header())
			}
		})
	}
}

// TestAdminPages follows the cursors of a listing: each session once.
func TestAdminPages(t *testing.T) {
	caddytest.Shop(t, "")
	for _, order := range []string{"created", "expires"} {
		var ids []string
		path, pages := caddytest.OfShop+"?limit=1&order="+order, 0
		for cursor := ""; ; pages++ {
			var page struct {
				Sessions []SessionView
				Next     string
			}
			w := caddytest.Ask(http.MethodGet, path+cursor, "")
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Sessions) != 1 {
				t.Fatalf("%s: %v", w.Body, err)
			}
			ids = append(ids, page.Sessions[0].ID)
			if page.Next == "" {
				break
			}
			cursor = "&cursor=" + page.Next
		}
		if len(ids) != 3 || !slices.IsSortedFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) {
			t.Errorf("order %s: %v", order, ids)
		}
	}
}

// TestAdminRefuses is about calls that make no sense, or that are attacks:
// each is a problem document, and changes nothing.
func TestAdminRefuses(t *testing.T) {
	st := caddytest.Shop(t, "")
	long := strings.Repeat("a", 10<<10)
	const one = caddytest.OfShop + "/AwAAAAAAAAAAAAAAAAAA_w"
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		detail                   string
	}{
		{"unknown path", "GET", "/sessions/nothing", "", 404, "no such path"},
		{"unknown manager", "GET", "/sessions/managers/other/sessions", "", 404, "no such manager"},
		{"long manager", "GET", "/sessions/managers/" + long + "/sessions", "", 404, "no such manager"},
		{"manager with a slash", "GET", "/sessions/managers/shop%2Fx/sessions", "", 404, "no such manager"},
		{"manager of control characters", "GET", "/sessions/managers/%00%0a/sessions", "", 404, "no such manager"},
		{"purge of an unknown manager", "DELETE", "/sessions/managers/other/sessions?all=true", "", 404, "no such manager"},
		{"session of another manager", "GET", "/sessions/managers/left/sessions/AwAAAAAAAAAAAAAAAAAA_w", "", 404, "no such session"},
		{"end a session of another manager", "DELETE", "/sessions/managers/left/sessions/AwAAAAAAAAAAAAAAAAAA_w", "", 404, "no such session"},
		{"other spelling of an id", "GET", caddytest.OfShop + "/AwAAAAAAAAAAAAAAAAAA_x", "", 404, "no such session"},
		{"long id", "DELETE", caddytest.OfShop + "/" + long, "", 404, "no such session"},
		{"data is off", "GET", one + "?data=true", "", 403, "`admin_data on`"},
		{"data is a word", "GET", one + "?data=yes", "", 400, "data is true or false"},
		{"order", "GET", caddytest.OfShop + "?order=size", "", 400, "order is created or expires"},
		{"empty order", "GET", caddytest.OfShop + "?order=", "", 400, "order is created or expires"},
		{"limit of nothing", "GET", caddytest.OfShop + "?limit=0", "", 400, "limit is a number from 1 to 1000"},
		{"limit too large", "GET", caddytest.OfShop + "?limit=1001", "", 400, "limit is a number from 1 to 1000"},
		{"limit overflows", "GET", caddytest.OfShop + "?limit=99999999999999999999", "", 400, "limit is a number from 1 to 1000"},
		{"limit is a word", "GET", caddytest.OfShop + "?limit=all", "", 400, "limit is a number from 1 to 1000"},
		{"forged cursor", "GET", caddytest.OfShop + "?cursor=%ff%00", "", 400, "not a cursor"},
		{"long cursor", "GET", caddytest.OfShop + "?cursor=" + long, "", 400, "cursor"},
		{"unknown parameter", "GET", caddytest.OfShop + "?principle=alice", "", 400, `no parameter "principle"`},
		{"parameter twice", "GET", caddytest.OfShop + "?limit=1&limit=2", "", 400, "limit is given twice"},
		{"malformed query", "GET", caddytest.OfShop + "?principal=a;limit=1", "", 400, "query is malformed"},
		{"empty principal", "GET", caddytest.OfShop + "?principal=", "", 400, "principal is empty"},
		{"long principal", "GET", caddytest.OfShop + "?principal=" + long, "", 400, "longer than 256 bytes"},
		{"principal of control characters", "GET", caddytest.OfShop + "?principal=al%0aice", "", 400, "control character"},
		{"principal that is no text", "GET", caddytest.OfShop + "?principal=%ff", "", 400, "not UTF-8"},
		{"except on GET", "GET", caddytest.OfShop + "?principal=alice&except=AwAAAAAAAAAAAAAAAAAA_w", "", 400, `no parameter "except"`},
		{"except on GET, in the body", "GET", caddytest.OfShop, `{"principal":"alice","except":"AwAAAAAAAAAAAAAAAAAA_w"}`, 400, "except belongs to DELETE"},
		{"body is no JSON", "GET", caddytest.OfShop, "principal=alice", 400, "the body is"},
		{"body with something else", "DELETE", caddytest.OfShop, `{"principal":"alice","except ":"x"}`, 400, "the body is"},
		{"body in another case", "DELETE", caddytest.OfShop, `{"Principal":"alice"}`, 400, "the body is"},
		{"body with a name twice", "DELETE", caddytest.OfShop, `{"principal":"alice","principal":"bob"}`, 400, "the body is"},
		{"body without principal", "DELETE", caddytest.OfShop, `{}`, 400, "the body is"},
		{"body with null", "DELETE", caddytest.OfShop, `{"principal":null}`, 400, "principal is empty"},
		{"large body", "DELETE", caddytest.OfShop, `{"principal":"` + long + `"}`, 400, "the body is"},
		{"body and query", "DELETE", caddytest.OfShop + "?principal=bob", `{"principal":"alice"}`, 400, "use one of them"},
		{"end all by mistake", "DELETE", caddytest.OfShop, "", 400, "say whose sessions end"},
		{"end nobody's", "DELETE", caddytest.OfShop + "?principal=", "", 400, "principal is empty"},
		{"end all, or not", "DELETE", caddytest.OfShop + "?all=false", "", 400, "say whose sessions end"},
		{"end all, and one's", "DELETE", caddytest.OfShop + "?all=true&principal=alice", "", 400, "say whose sessions end"},
		{"end all, and one's in the body", "DELETE", caddytest.OfShop + "?all=true", `{"principal":"alice"}`, 400, "say whose sessions end"},
		{"end all but one", "DELETE", caddytest.OfShop + "?all=true&except=AwAAAAAAAAAAAAAAAAAA_w", "", 400, "except belongs to a principal"},
		{"end all but nonsense", "DELETE", caddytest.OfShop + "?principal=alice&except=x", "", 400, "22 characters"},
		{"end one with a parameter", "DELETE", one + "?all=true", "", 400, `no parameter "all"`},
		{"parameter of stats", "GET", "/sessions/stats?x=1", "", 400, `no parameter "x"`},
		{"parameter of locks", "GET", "/sessions/locks?x=1", "", 400, "no parameters"},
		{"forged cursor of dead letters", "GET", "/sessions/dead-letters?cursor=%2b", "", 400, "cursor"},
		{"unknown dead letter", "POST", "/sessions/dead-letters/" + long + "/retry", "", 404, "no such dead letter"},
		{"dead letter that is alive", "POST", "/sessions/dead-letters/00000000000000010000000000000000/retry", "", 404, "no such dead letter"},
		{"discard an unknown dead letter", "DELETE", "/sessions/dead-letters/" + long, "", 404, "no such dead letter"},
		{"discard a letter that is alive", "DELETE", "/sessions/dead-letters/00000000000000010000000000000000", "", 404, "no such dead letter"},
		{"discard a letter with a parameter", "DELETE", "/sessions/dead-letters/00000001?all=true", "", 400, `no parameter "all"`},
		{"discard for nobody", "DELETE", "/sessions/backlog", "", 400, "say for which"},
		{"discard for no name", "DELETE", "/sessions/backlog?listener=", "", 400, "say for which"},
		{"discard, misspelt", "DELETE", "/sessions/backlog?listner=mail", "", 400, `no parameter "listner"`},
		{"discard what nobody waits for", "DELETE", "/sessions/backlog?listener=" + long, "", 404, "nothing waits"},
		{"restore into a store in use", "POST", "/sessions/restore", "", 400, "not a backup"},
		{"restore with a parameter", "POST", "/sessions/restore?force=true", "", 400, `no parameter "force"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := caddytest.Ask(c.method, c.path, c.body)
			var p struct {
				Type, Title, Detail string
				Status              int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if w.Code != c.status || p.Status != c.status || p.Title != http.StatusText(c.status) || !strings.Contains(p.Detail, c.detail) || p.Type == "" {
				t.Errorf("%d %s, want %d with %q", w.Code, w.Body, c.status, c.detail)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %s", got)
			}
			if len(w.Body.String()) > 1<<10 {
				t.Error("what was sent comes back at length")
			}
		})
	}
	if st.Len() != 4 {
		t.Errorf("%d sessions are left of 4", st.Len())
	}
}

func TestAdminMethods(t *testing.T) {
	caddytest.Shop(t, "")
	for path, allow := range map[string]string{
		"/sessions/managers":             "GET, HEAD",
		caddytest.OfShop:                 "DELETE, GET, HEAD",
		caddytest.OfShop + "/x":          "DELETE, GET, HEAD",
		"/sessions/locks":                "GET, HEAD",
		"/sessions/stats":                "GET, HEAD",
		"/sessions/dead-letters":         "GET, HEAD",
		"/sessions/dead-letters/x/retry": "POST",
		"/sessions/dead-letters/x":       "DELETE",
		"/sessions/backlog":              "DELETE",
		"/sessions/backup":               "GET, HEAD",
		"/sessions/restore":              "POST",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			w := caddytest.Ask(method, path, "")
			refused := w.Code == http.StatusMethodNotAllowed
			if refused == slices.Contains(strings.Split(allow, ", "), method) {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			if refused && (w.Header().Get("Allow") != allow || w.Header().Get("Content-Type") != "application/problem+json") {
				t.Errorf("%s %s: %v", method, path, w.Header())
			}
		}
	}
}

func TestAdminEnds(t *testing.T) {
	for _, c := range []struct {
		name, path, body string
		ended            int
		left             []string // principals of the shop's sessions, the newest first
	}{
		{"one", caddytest.OfShop + "/AQAAAAAAAAAAAAAAAAAA_w", "", 1, []string{"alice", "alice"}},
		{"a principal's", caddytest.OfShop + "?principal=alice", "", 2, []string{""}},
		{"a principal's, in the body", caddytest.OfShop, `{"principal":"alice"}`, 2, []string{""}},
		{"a principal's but one", caddytest.OfShop + "?principal=alice&except=AwAAAAAAAAAAAAAAAAAA_w", "", 1, []string{"alice", ""}},
		{"a principal's but one, in the body", caddytest.OfShop, `{"principal":"alice","except":"AwAAAAAAAAAAAAAAAAAA_w"}`, 1, []string{"alice", ""}},
		{"a principal's who has none", caddytest.OfShop + "?principal=bob", "", 0, []string{"alice", "alice", ""}},
		{"all", caddytest.OfShop + "?all=true", "", 3, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := caddytest.Shop(t, "")
			if w := caddytest.Ask(http.MethodDelete, c.path, c.body); w.Code != http.StatusOK || w.Body.String() != fmt.Sprintf("{\"ended\":%d}\n", c.ended) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			page, err := st.Page(t.Context(), store.Query{Manager: "shop", Order: store.ByCreated, Limit: 9})
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, s := range page.Sessions {
				left = append(left, s.Principal)
			}
			if !slices.Equal(left, c.left) {
				t.Errorf("left are those of %q, want %q", left, c.left)
			}
			if w := caddytest.Ask(http.MethodGet, "/sessions/managers/left/sessions/AQAAAAAAAAAAAAAAAAAA_w", ""); w.Code != http.StatusOK {
				t.Errorf("the session of another manager: %d", w.Code)
			}
			if w := caddytest.Ask(http.MethodDelete, caddytest.OfShop+"/AQAAAAAAAAAAAAAAAAAA_w", ""); c.name == "one" && w.Code != http.StatusNotFound {
				t.Errorf("twice: %d", w.Code)
			}
		})
	}
}
