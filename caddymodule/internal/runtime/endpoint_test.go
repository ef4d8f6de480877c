package runtime_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
)

// asks is an app that reads its data at the endpoint, by a transport of its own.
type asks struct {
	t         *testing.T
	transport *http.Transport
	gate      chan chan struct{} // when set: the app tells that it has begun, and waits
}

func newAsks(t *testing.T) *asks {
	a := &asks{t: t, transport: &http.Transport{}}
	t.Cleanup(a.transport.CloseIdleConnections)
	return a
}

func (a *asks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.gate != nil && r.URL.Path == "/wait" {
		open := make(chan struct{})
		a.gate <- open
		<-open
	}
	if r.URL.Path == "/begin" {
		w.Header().Set("Session-Data", `{"secret":"s3cret"}`)
		return
	}
	_, _ = io.WriteString(w, a.read(r.Header.Get("Session-Endpoint")+"/data"))
}

// read calls an endpoint, by TCP or by Unix socket.
func (a *asks) read(target string) string {
	client := &http.Client{Transport: a.transport}
	if socket, ok := strings.CutPrefix(target, "http+unix://"); ok {
		escaped, path, _ := strings.Cut(socket, "/")
		name, err := url.PathUnescape(escaped)
		if err != nil {
			return err.Error()
		}
		client = &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", name)
			},
		}}
		target = "http://sessions/" + path
	}
	resp, err := client.Get(target)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return resp.Status + " " + string(body)
}

const readSecret = `200 OK {"secret":"s3cret"}`

func TestEndpointAddresses(t *testing.T) {
	socket := filepath.Join(caddytest.ShortDir(t), "s.sock")
	for name, endpoint := range map[string]string{
		"tcp": caddytest.FreeAddress(t), "a Unix socket": "unix/" + socket, "a Unix socket for a group": "unix/" + socket + "|0660",
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			s.Load(s.Config(s.Store(s.Dir, "async")+"\nendpoint "+endpoint, "", "session shop\nreverse_proxy "+caddytest.App(t, newAsks(t).ServeHTTP)))
			v := s.Visitor()
			v.Fetch("/begin")
			v.Expect("/", http.StatusOK, readSecret)
			if strings.HasPrefix(endpoint, "unix/") {
				want := os.FileMode(0o600)
				if strings.HasSuffix(endpoint, "0660") {
					want = 0o660
				}
				if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != want {
					t.Errorf("mode %v, %v", info.Mode(), err)
				}
			}
			s.Stop()
			if runtime.OpenEndpoints() != 0 {
				t.Errorf("%d endpoints are left after the stop", runtime.OpenEndpoints())
			}
		})
	}
}

// TestReloadChangesTheSocketsPermissions: the listener stays.
func TestReloadChangesTheSocketsPermissions(t *testing.T) {
	socket := filepath.Join(caddytest.ShortDir(t), "s.sock")
	s := caddytest.NewSite(t)
	for _, mode := range []os.FileMode{0o600, 0o660} {
		s.Load(s.Config(s.Store(s.Dir, "async")+fmt.Sprintf("\nendpoint unix/%s|%04o", socket, mode), "", "session shop\nrespond x"))
		if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, mode)
		}
	}
}

// TestEndpointAcrossReloads: the capability of a request in flight stays good
// when the configuration changes, also when the address does.
func TestEndpointAcrossReloads(t *testing.T) {
	for name, move := range map[string]bool{"the same address": false, "another address": true} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			a := newAsks(t)
			a.gate = make(chan chan struct{})
			upstream := caddytest.App(t, a.ServeHTTP)
			first, second := caddytest.FreeAddress(t), caddytest.FreeAddress(t)
			if !move {
				second = first
			}
			config := func(endpoint, extra string) []byte {
				return s.Config(s.Store(s.Dir, "async")+"\nendpoint "+endpoint, "", extra+"\nsession shop\nreverse_proxy "+upstream)
			}
			s.Load(config(first, ""))
			v := s.Visitor()
			v.Fetch("/begin")
			var wg sync.WaitGroup
			wg.Go(func() { v.Expect("/wait", http.StatusOK, readSecret) })
			open := <-a.gate
			s.Load(config(second, "header X-Reloaded 1"))
			v.Expect("/", http.StatusOK, readSecret) // the new configuration's
			close(open)
			wg.Wait()
			for move && runtime.OpenEndpoints() > 1 { // the first one closes when its last request has ended
				goruntime.Gosched()
			}
			if conn, err := net.Dial("tcp", first); (err == nil) == move {
				t.Errorf("the first address answers: %v", err == nil)
			} else if err == nil {
				_ = conn.Close()
			}
		})
	}
}

// TestEndpointUnderAnotherSpelling: a reload that only spells the address
// otherwise keeps the listener; apps get the URL of the new configuration, and
// that of a request in flight stays good.
func TestEndpointUnderAnotherSpelling(t *testing.T) {
	_, port, err := net.SplitHostPort(caddytest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := caddytest.ShortDir(t)
	if err := os.Symlink(dir, dir+"-link"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir + "-link") })
	for name, spelling := range map[string][2]string{
		"a name, and its number":    {"localhost:" + port, "127.0.0.1:" + port},
		"a number, and its name":    {"127.0.0.1:" + port, "localhost:" + port},
		"a number in another way":   {"127.0.0.1:" + port, "[::ffff:127.0.0.1]:" + port},
		"a socket in another way":   {"unix/" + dir + "/s.sock", "unix/" + dir + "//./s.sock"},
		"a socket through a link":   {"unix/" + dir + "/s.sock", "unix/" + dir + "-link/s.sock"},
		"a socket no more by links": {"unix/" + dir + "-link/s.sock", "unix/" + dir + "/s.sock"},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			a := newAsks(t)
			a.gate = make(chan chan struct{})
			upstream := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/url" {
					_, _ = io.WriteString(w, r.Header.Get("Session-Endpoint"))
					return
				}
				a.ServeHTTP(w, r)
			})
			config := func(endpoint string) []byte {
				return s.Config(s.Store(s.Dir, "async")+"\nendpoint "+endpoint, "", "session shop\nreverse_proxy "+upstream)
			}
			s.Load(config(spelling[0]))
			v := s.Visitor()
			v.Fetch("/begin")
			var wg sync.WaitGroup
			wg.Go(func() { v.Expect("/wait", http.StatusOK, readSecret) })
			open := <-a.gate
			letGo := sync.OnceFunc(func() { close(open) })
			defer letGo()
			s.Load(config(spelling[1]))
			v.Expect("/", http.StatusOK, readSecret)
			want := "http://" + spelling[1] + "/"
			if path, ok := strings.CutPrefix(spelling[1], "unix/"); ok {
				want = "http+unix://" + url.PathEscape(path) + "/"
			}
			if _, body := v.Fetch("/url"); !strings.HasPrefix(body, want) {
				t.Errorf("the app gets %s, want %s", body, want)
			}
			letGo()
			wg.Wait()
			if n := runtime.OpenEndpoints(); n != 1 {
				t.Errorf("%d listeners", n)
			}
			s.Stop()
			if n := runtime.OpenEndpoints(); n != 0 {
				t.Errorf("%d listeners after the stop", n)
			}
		})
	}
}

// TestReloadsRefuseNoCall: one listener, whatever happens to configurations.
func TestReloadsRefuseNoCall(t *testing.T) {
	s := caddytest.NewSite(t)
	upstream := caddytest.App(t, newAsks(t).ServeHTTP)
	endpoint := caddytest.FreeAddress(t)
	config := func(n string) []byte {
		return s.Config(s.Store(s.Dir, "async")+"\nendpoint "+endpoint, "", "header X-Reload "+n+"\nsession shop\nreverse_proxy "+upstream)
	}
	s.Load(config("0"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		a := newAsks(t)
		a.transport.DisableKeepAlives = true // a connection for each call
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got := a.read("http://" + endpoint + "/guess/data"); !strings.HasPrefix(got, "404 ") {
				t.Errorf("a call got %s", got)
				return
			}
		}
	})
	for _, n := range []string{"1", "2", "3", "4", "5"} {
		s.Load(config(n))
	}
	close(stop)
	wg.Wait()
}

// TestManyConnections: idle callers keep no other caller out.
func TestManyConnections(t *testing.T) {
	s := caddytest.NewSite(t)
	endpoint := caddytest.FreeAddress(t)
	s.Load(s.Config(s.Store(s.Dir, "async")+"\nendpoint "+endpoint, "", "session shop\nreverse_proxy "+caddytest.App(t, newAsks(t).ServeHTTP)))
	v := s.Visitor()
	v.Fetch("/begin")
	for range 2000 {
		conn, err := net.Dial("tcp", endpoint)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	v.Expect("/", http.StatusOK, readSecret)
}
