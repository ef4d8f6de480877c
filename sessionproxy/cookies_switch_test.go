package sessionproxy_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestJarEndsByClearSiteData: the browser keeps the cookies of other apps.
func TestJarEndsByClearSiteData(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	v.asks("GET", "/", page, "sid=1; HttpOnly", "theme=dark; Path=/")
	v.own = "theme=dark"
	_, got := v.asksApp("POST", "/logout", page, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Clear-Site-Data", `"*"`)
	})
	if csd := got.header.Get("Clear-Site-Data"); v.sessions() != 0 || v.ticket != "" || strings.Contains(csd, "*") || strings.Contains(csd, "cookies") || !strings.Contains(csd, `"storage"`) {
		t.Errorf("%d sessions, %v", v.sessions(), got.header)
	}
	if lines := others(got); len(lines) != 1 || !strings.HasPrefix(lines[0], "theme=;") {
		t.Errorf("the browser got %q", lines)
	}
}

// TestJarIsSwitchedOnAndOff: `adopt` takes over what the browser has, and
// `export` gives it back.
func TestJarIsSwitchedOnAndOff(t *testing.T) {
	on := newJarRig(t, jar.Options{Adopt: []string{"PHPSESSID"}}, nil)
	v := &visitor{jarRig: on, own: "PHPSESSID=alice"}
	sent, _ := v.asks("GET", "/", page)
	v.wantLine(sent, "PHPSESSID=alice")
	if v.ticket == "" {
		t.Fatal("no session has adopted the cookie")
	}
	v.own = "PHPSESSID=mallory"
	sent, _ = v.asks("GET", "/", page)
	v.wantLine(sent, "PHPSESSID=alice")

	off := newJarRig(t, jar.Options{Export: true}, nil) // and its store has the session as it is now
	off.ring = on.ring
	var backup bytes.Buffer
	if err := on.store.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if _, err := off.store.Restore(t.Context(), &backup, nil); err != nil {
		t.Fatal(err)
	}
	w := &visitor{jarRig: off, ticket: v.ticket}
	if _, got := w.asks("GET", "/readonly", page); got.header["Set-Cookie"] != nil || off.sessions() != 1 {
		t.Fatalf("a request that cannot end the session gave its cookies away: %q", got.header)
	}
	sent, got := w.asks("GET", "/", page)
	w.wantLine(sent, "PHPSESSID=alice")
	if lines := others(got); len(lines) != 1 || !strings.HasPrefix(lines[0], "PHPSESSID=alice") || w.ticket != "" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the browser got %q", got.header)
	}
	w.own = "PHPSESSID=alice"
	sent, got = w.asks("GET", "/", page, "PHPSESSID=bob; HttpOnly")
	w.wantLine(sent, "PHPSESSID=alice")
	if lines := others(got); len(lines) != 1 || lines[0] != "PHPSESSID=bob; HttpOnly" || w.ticket != "" {
		t.Errorf("the browser got %q", got.header["Set-Cookie"])
	}
}

// TestJarAdoptsNothingAgain: a dead ticket shows that the browser's cookies
// were adopted once, and that session has been revoked since.
func TestJarAdoptsNothingAgain(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{Adopt: []string{"PHPSESSID"}}, nil), own: "PHPSESSID=alice"}
	v.asks("GET", "/", page)
	for info := range v.store.List(t.Context(), "shop", store.ID{}) {
		if err := v.store.Delete(t.Context(), store.Key{Manager: "shop", ID: info.ID}, store.Revoked); err != nil {
			t.Fatal(err)
		}
	}
	sent, _ := v.asks("GET", "/", page)
	v.wantLine(sent, "")
}
