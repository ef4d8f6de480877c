package caddymodule_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// uploader is an app that keeps the name of a file in the session at /, and
// signs out at /out.
func uploader(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/out" {
		w.Header().Set("Session-Action", "destroy")
		return
	}
	w.Header().Set("Session-Patch", `{"uploads":[{"path":"`+r.URL.Query().Get("file")+`"}]}`)
	_, _ = io.WriteString(w, r.Header.Get("Session-Id"))
}

// gone waits until there is no such file.
func gone(t *testing.T, file string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		if _, err := os.Stat(file); os.IsNotExist(err) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s is still there", filepath.Base(file))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestListenersAreTold lets sessions end, by the app and by their age, in a
// database on the disk, across reloads.
func TestListenersAreTold(t *testing.T) {
	s := caddytest.NewSite(t)
	root := t.TempDir()
	write := func(name string) string {
		file := filepath.Join(root, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	told := make(chan string, 16)
	answer := http.StatusNoContent
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- string(body)
		w.WriteHeader(answer)
	}))
	defer hook.Close()
	config := func(url string) []byte {
		return s.Config(s.Store(s.Dir, "async")+"\nsweep_interval 1s", "", `
		session shop {
			idle_timeout 1s
			listener remove_files uploads.*.path {
				root `+root+`
			}
			listener webhook `+url+` {
				secret `+"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"+`
				allow_private
			}
		}
		reverse_proxy `+caddytest.App(t, uploader))
	}
	expect := func(kind, id, more string) {
		t.Helper()
		select {
		case got := <-told:
			if !strings.Contains(got, `"type":"session.`+kind+`"`) || !strings.Contains(got, id) || !strings.Contains(got, more) {
				t.Errorf("told %s, want %s of %s", got, kind, id)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("nobody was told of %s of %s", kind, id)
		}
	}
	s.Load(config(hook.URL))
	one := write("one")
	v := s.Visitor()
	_, id := v.Fetch("/?file=one")
	v.Fetch("/out")
	gone(t, one)
	expect("create", id, "")
	expect("delete", id, `"reason":"destroyed","created"`)

	two := write("two")
	_, id = s.Visitor().Fetch("/?file=two")
	gone(t, two)
	expect("create", id, "")
	expect("delete", id, `"reason":"idle"`)

	// What waits for an address where nothing listens goes to the corrected one.
	s.Load(config("http://" + caddytest.FreeAddress(t)))
	three := write("three")
	late := s.Visitor()
	late.Reload(s, config("http://"+caddytest.FreeAddress(t)))
	_, id = late.Fetch("/?file=three")
	gone(t, three)
	late.Reload(s, config(hook.URL))
	for !strings.Contains(<-told, id) { // the reloads have made sessions of their own
	}
}
