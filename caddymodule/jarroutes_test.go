package caddymodule_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestJarsSideBySide mounts two copies of an app, and one inside another, on
// one host: no cookie of one reaches another.
func TestJarsSideBySide(t *testing.T) {
	mount := func(path, manager string) string {
		return "handle_path " + path + "/* {\n session " + manager + " {\n cookies\n }\n reverse_proxy APP\n}\n"
	}
	_, b := newJarSite(t, mount("/a/in", "inner")+mount("/a", "a")+mount("/b", "b"))
	for _, path := range []string{"/a/", "/b/", "/a/in/"} {
		_, given := b.asks("POST", path, pageHeader, "PHPSESSID="+path+"; Path=/", "csrf="+path+"; Path=/")
		if want := "csrf=" + path + "; Path=" + strings.TrimSuffix(path, "/"); !slices.Equal(given, []string{want}) {
			t.Errorf("%s: the browser got %q, want %q", path, given, want)
		}
	}
	for _, path := range []string{"/a/", "/b/", "/a/in/"} {
		b.sends(path+"page", "PHPSESSID="+path+"; csrf="+path)
	}
	b.asks("POST", "/a/", pageHeader, "PHPSESSID=; Path=/; Max-Age=0", "csrf=; Path=/; Max-Age=0")
	b.sends("/a/", "")
	b.sends("/b/", "PHPSESSID=/b/; csrf=/b/")
	b.sends("/a/in/", "PHPSESSID=/a/in/; csrf=/a/in/")
	// An app that writes the browser's path is understood as well as one that
	// writes its own.
	b.asks("GET", "/b/shop/", pageHeader, "mine=1; Path=/shop; HttpOnly", "full=1; Path=/b/shop; HttpOnly", "dark=1; Path=/b/shop")
	b.sends("/b/shop/", "full=1; mine=1; PHPSESSID=/b/; dark=1; csrf=/b/")
	b.sends("/b/", "PHPSESSID=/b/; csrf=/b/")
}

// TestJarAndPathsThatChange: what changes the path before the session tells the mount,
// and what comes after it does not matter.
func TestJarAndPathsThatChange(t *testing.T) {
	for _, c := range []struct{ name, routes, ask, path string }{
		{"handle_path", "handle_path /x/* {\n session shop {\n cookies\n }\n reverse_proxy APP\n}", "/x/p", "/x"},
		{"handle_path without a slash", "handle_path /x* {\n session shop {\n cookies\n }\n reverse_proxy APP\n}", "/x", "/x"},
		{"strip_prefix before", "route /x/* {\n uri strip_prefix /x\n session shop {\n cookies\n }\n reverse_proxy APP\n}", "/x/p", "/x"},
		{"strip_prefix after", "handle /x/* {\n session shop {\n cookies\n }\n uri strip_prefix /x\n reverse_proxy APP\n}", "/x/p", "/"},
		{"strip_prefix after, mount", "handle /x/* {\n session shop {\n cookies {\n mount /x\n }\n }\n uri strip_prefix /x\n reverse_proxy APP\n}", "/x/p", "/x"},
		{"rewrite before", "route {\n rewrite /x/* /index.php\n session shop {\n cookies\n }\n reverse_proxy APP\n}", "/x/p", "/"},
		{"rewrite after", "handle_path /x/* {\n session shop {\n cookies\n }\n rewrite * /index.php\n reverse_proxy APP\n}", "/x/p", "/x"},
		{"another mount", "handle {\n session shop {\n cookies {\n mount /apps/x/\n }\n }\n reverse_proxy APP\n}", "/p", "/apps/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, b := newJarSite(t, c.routes)
			_, given := b.asks("GET", c.ask, pageHeader, "sid=1; Path=/; HttpOnly", "lang=en; Path=/")
			if want := "lang=en; Path=" + c.path; !slices.Equal(given, []string{want}) {
				t.Errorf("the browser got %q, want %q", given, want)
			}
			if got, _, _ := strings.Cut(b.app.cookies(), "; "); got != "" {
				t.Errorf("a stranger's app got %q", got)
			}
			want := "sid=1; lang=en"
			if c.path == "/apps/x" {
				want = "sid=1" // the browser is elsewhere
			}
			b.sends(c.ask, want)
		})
	}
}

// TestJarWhenItsMountMoves: sessions go on when the app moves.
func TestJarWhenItsMountMoves(t *testing.T) {
	s, b := newJarSite(t, "handle_path /old/* {\n session shop {\n cookies\n }\n reverse_proxy APP\n}")
	b.asks("GET", "/old/", pageHeader, "sid=1; Path=/; HttpOnly", "lang=en; Path=/", "full=1; Path=/old; HttpOnly")
	b.Reload(s, s.Config("", "metrics", "handle_path /new/* {\n session shop {\n cookies\n }\n reverse_proxy "+b.app.address+"\n}"))
	b.sends("/new/", "sid=1")
	if _, given := b.asks("GET", "/new/", pageHeader, "lang=de; Path=/"); !slices.Equal(given, []string{"lang=de; Path=/new"}) {
		t.Errorf("the browser got %q", given)
	}
	b.sends("/new/", "sid=1; lang=de")
}

// TestJarAndCaddysHandlers: what others on the way do with cookies.
func TestJarAndCaddysHandlers(t *testing.T) {
	jar := "session shop {\n cookies\n }\n"
	for _, c := range []struct {
		name, routes string
		lines        []string // of the app
		given        []string
		want         string
	}{
		{"header after", "handle {\n" + jar + "header +Set-Cookie \"mine=1; HttpOnly\"\n reverse_proxy APP\n}", []string{"sid=1; HttpOnly"}, nil, "mine=1; sid=1"},
		{"header before", "route {\n header +Set-Cookie \"mine=1; HttpOnly\"\n" + jar + "reverse_proxy APP\n}", []string{"sid=1; HttpOnly"}, []string{"mine=1; HttpOnly"}, "sid=1"},
		{"header before, deferred", "route {\n header >Set-Cookie sid sed\n header {\n +Set-Cookie \"mine=1; HttpOnly\"\n defer\n }\n" + jar + "reverse_proxy APP\n}", []string{"sid=1; HttpOnly"}, []string{"mine=1; HttpOnly"}, "sid=1"},
		{"encode", "handle {\n encode gzip\n" + jar + "reverse_proxy APP\n}", []string{"sid=1; HttpOnly", "lang=en"}, []string{"lang=en"}, "sid=1; lang=en"},
		{"header_down", "handle {\n" + jar + "reverse_proxy APP {\n header_down Set-Cookie sid sed\n }\n}", []string{"sid=1; HttpOnly"}, nil, "sed=1"},
		{"header_up", "handle {\n" + jar + "reverse_proxy APP {\n header_up -Cookie\n }\n}", []string{"sid=1; HttpOnly"}, nil, ""},
		{"handle_response", "handle {\n" + jar + "reverse_proxy APP {\n @ok status 200\n handle_response @ok {\n header X-Seen 1\n respond \"instead\" 200\n }\n }\n}", []string{"sid=1; HttpOnly"}, nil, ""},
		{"handle_response with copy_response", "handle {\n" + jar + "reverse_proxy APP {\n @ok status 200\n handle_response @ok {\n copy_response\n }\n }\n}", []string{"sid=1; HttpOnly"}, nil, "sid=1"},
		{"intercept", "handle {\n" + jar + "intercept {\n @ok status 200\n handle_response @ok {\n respond \"else\" 200\n }\n }\n reverse_proxy APP\n}", []string{"sid=1; HttpOnly"}, nil, "sid=1"},
		{"session off", "handle {\n session off\n reverse_proxy APP\n}", []string{"sid=1; HttpOnly"}, []string{"sid=1; HttpOnly"}, "sid=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, b := newJarSite(t, c.routes)
			if _, given := b.asks("GET", "/", pageHeader, c.lines...); !slices.Equal(given, c.given) {
				t.Errorf("the browser got %q, want %q", given, c.given)
			}
			b.sends("/", c.want)
		})
	}
}

// TestJarOfHeadRequests: their cookies count as those of any other.
func TestJarOfHeadRequests(t *testing.T) {
	_, b := newJarSite(t, plainJarOf("shop"))
	b.asks("HEAD", "/", pageHeader, "sid=1; HttpOnly")
	b.sends("/", "sid=1")
}

// TestJarAndBalancedUpstreams: the cookie by which Caddy chooses an upstream is
// in the jar, and it chooses by it.
func TestJarAndBalancedUpstreams(t *testing.T) {
	s, a := caddytest.NewSite(t), newJarApp(t)
	other := caddytest.App(t, a.ServeHTTP)
	s.Load(s.Config("", "metrics", "handle {\n session shop {\n cookies\n }\n reverse_proxy "+a.address+" "+other+" {\n lb_policy cookie\n header_down +X-Upstream {http.reverse_proxy.upstream.hostport}\n }\n}"))
	b := &jarBrowser{s.Visitor(), a}
	resp, given := b.asks("GET", "/", pageHeader)
	first := resp.Header.Get("X-Upstream")
	if given != nil || b.ticket("/", "shop") == "" {
		t.Errorf("the browser got %q", resp.Header["Set-Cookie"])
	}
	for range 12 {
		if resp, _ = b.asks("GET", "/", scriptHeader); resp.Header.Get("X-Upstream") != first {
			t.Fatalf("the visitor came to %s, and then to %s", first, resp.Header.Get("X-Upstream"))
		}
	}
}

// TestJarOfWebSockets: a handshake carries the jar, and may set cookies.
func TestJarOfWebSockets(t *testing.T) {
	s, a := caddytest.NewSite(t), newJarApp(t)
	upstream := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			a.ServeHTTP(w, r)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: ws=1; HttpOnly\r\nSet-Cookie: seen=1\r\n\r\n"+strings.Join(r.Header["Cookie"], "|")+"\n")
	})
	s.Load(s.Config("", "metrics", "handle {\n session shop {\n cookies\n }\n reverse_proxy "+upstream+"\n}"))
	b := &jarBrowser{s.Visitor(), a}
	b.asks("GET", "/", pageHeader, "sid=1; HttpOnly")
	conn, err := net.Dial("tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-Fetch-Mode: websocket\r\nCookie: shop_ticket="+b.ticket("/", "shop")+"\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line, _ := in.ReadString('\n')
	if lines := resp.Header["Set-Cookie"]; resp.StatusCode != http.StatusSwitchingProtocols || !slices.Equal(lines, []string{"seen=1"}) || line != "sid=1\n" {
		t.Errorf("%s, cookies %q, the app got %q", resp.Status, lines, line)
	}
	b.sends("/", "sid=1; ws=1")
}

// TestJarAndGateways: a gateway that forward_auth asks has cookies of its own
// in the browser. It gets those, and not the app's; only where it stands in a
// route block behind the session it is an app of the session.
func TestJarAndGateways(t *testing.T) {
	gate := newJarApp(t)
	block := "forward_auth " + gate.address + " {\n uri /verify\n copy_headers X-User\n}\nreverse_proxy APP\n"
	jar := "session shop {\n cookies {\n pass theme\n }\n}\n"
	for _, c := range []struct {
		name, routes string
		with, alone  string   // what the gateway gets, with a session and in another site without one
		given        []string // the cookies of its refusal, to the browser
	}{
		{"in Caddy's order", "handle {\n" + jar + block + "}\n", "auth=mine; sid=evil", "", []string{"auth=new; HttpOnly", "sid=gate; HttpOnly"}},
		{"in a named route", "handle /named/* {\n invoke guarded\n}\nhandle {\n" + jar + "invoke guarded\n}\n", "auth=mine; sid=evil", "auth=mine; sid=evil", []string{"auth=new; HttpOnly", "sid=gate; HttpOnly"}},
		{"in a route block", "route {\n" + jar + block + "}\n", "sid=1", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, a := caddytest.NewSite(t), newJarApp(t)
			if strings.Contains(c.routes, "invoke") {
				s.Named = "&(guarded) {\n handle {\n" + strings.ReplaceAll(block, "APP", a.address) + "}\n}"
			}
			s.Load(s.Config("", "metrics", strings.ReplaceAll(c.routes, "APP", a.address)))
			b := &jarBrowser{s.Visitor(), a}
			gate.status, gate.lines = http.StatusOK, nil
			b.asks("GET", "/", pageHeader, "sid=1; HttpOnly")
			ticket := b.ticket("/", "shop")
			own := append(slices.Clone(scriptHeader), "Cookie", "auth=mine; sid=evil")
			b.asks("GET", "/", own)
			if got := strings.TrimSuffix(gate.cookies(), "; "); got != c.with {
				t.Errorf("the gateway got %q, want %q", got, c.with)
			}
			if got := a.cookies(); got != "sid=1" {
				t.Errorf("the app got %q", got)
			}
			if c.alone != "" {
				b.asks("GET", "/named/", []string{"Cookie", "auth=mine; sid=evil"})
				if got := gate.cookies(); !strings.HasPrefix(got, c.alone) {
					t.Errorf("without a session the gateway got %q, want %q", got, c.alone)
				}
			}
			gate.status, gate.lines = http.StatusForbidden, []string{"auth=new; HttpOnly", "sid=gate; HttpOnly"}
			resp, given := b.asks("GET", "/", pageHeader)
			if resp.StatusCode != http.StatusForbidden || !slices.Equal(given, c.given) || resp.Header.Get("Session-Gateway") != "" {
				t.Errorf("the browser got %v", resp.Header)
			}
			gate.status, gate.lines = http.StatusOK, nil
			if c.given != nil {
				b.sends("/", "sid=1")
				if b.ticket("/", "shop") != ticket {
					t.Error("the ticket has changed")
				}
			}
		})
	}
}
