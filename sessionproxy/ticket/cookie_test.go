package ticket

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCookieNames(t *testing.T) {
	for _, tc := range []struct {
		name          string
		c             Cookie
		clear, secure string
	}{
		{"plain", Cookie{Name: "s"}, "s", "__Host-s"},
		{"with a path", Cookie{Name: "s", Path: "/a"}, "s", "__Secure-s"},
		{"with a domain", Cookie{Name: "s", Domain: "example.com"}, "s", "__Secure-s"},
		{"always secure", Cookie{Name: "s", Secure: SecureAlways}, "__Host-s", "__Host-s"},
		{"prefixed by the user", Cookie{Name: "__Secure-s", Secure: SecureAlways}, "__Secure-s", "__Secure-s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if c, s := tc.c.NameOn(false), tc.c.NameOn(true); c != tc.clear || s != tc.secure {
				t.Fatalf("got %s and %s", c, s)
			}
			for _, name := range []string{tc.clear, tc.secure} {
				if !tc.c.Names().Has(name) {
					t.Fatalf("%s is not among %v", name, tc.c.Names().Cookies())
				}
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name string
		c    Cookie
		ok   bool
	}{
		{"plain", Cookie{Name: "shop_ticket"}, true},
		{"everything", Cookie{Name: "s", Path: "/a", Domain: "example.com", SameSite: http.SameSiteNoneMode, Secure: SecureAlways, Persist: true, Partitioned: true}, true},
		{"__Host-", Cookie{Name: "__Host-s", Secure: SecureAlways}, true},
		{"no name", Cookie{}, false},
		{"a name with a blank", Cookie{Name: "a b"}, false},
		{"a name with an equals sign", Cookie{Name: "a=b"}, false},
		{"a relative path", Cookie{Name: "s", Path: "a"}, false},
		{"a path that adds an attribute", Cookie{Name: "s", Path: "/; Domain=x"}, false},
		{"a domain that adds an attribute", Cookie{Name: "s", Domain: "x; Path=/"}, false},
		{"a domain that is none", Cookie{Name: "s", Domain: "-"}, false},
		{"a domain with a port", Cookie{Name: "s", Domain: "x:80"}, false},
		{"__Host- with a domain", Cookie{Name: "__Host-s", Domain: "x.example", Secure: SecureAlways}, false},
		{"__Host- with a path", Cookie{Name: "__Host-s", Path: "/a", Secure: SecureAlways}, false},
		{"__host- in other case", Cookie{Name: "__hOsT-s", Path: "/a", Secure: SecureAlways}, false},
		{"__Host- on clear connections", Cookie{Name: "__Host-s"}, false},
		{"__Secure- on clear connections", Cookie{Name: "__Secure-s"}, false},
		{"same_site none on clear connections", Cookie{Name: "s", SameSite: http.SameSiteNoneMode}, false},
		{"partitioned on clear connections", Cookie{Name: "s", Partitioned: true}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.c.Validate(); (err == nil) != tc.ok {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestSetAndClear(t *testing.T) {
	for _, tc := range []struct {
		name   string
		c      Cookie
		secure bool
		want   string
	}{
		{"clear", Cookie{Name: "s"}, false, "s=v; Path=/; HttpOnly; SameSite=Lax"},
		{"secure", Cookie{Name: "s"}, true, "__Host-s=v; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{"persist", Cookie{Name: "s", Persist: true, SameSite: http.SameSiteStrictMode}, false, "s=v; Path=/; Max-Age=91; HttpOnly; SameSite=Strict"},
		{"everything", Cookie{Name: "s", Path: "/a", Domain: "x.example", Secure: SecureAlways, SameSite: http.SameSiteNoneMode, Partitioned: true}, false,
			"__Secure-s=v; Path=/a; Domain=x.example; HttpOnly; Secure; SameSite=None; Partitioned"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{"Set-Cookie": {"app=1"}, "Cache-Control": {"public, max-age=60"}}
			tc.c.Set(h, "v", tc.secure, 90*time.Second+time.Millisecond)
			if got := h["Set-Cookie"]; len(got) != 2 || got[1] != tc.want {
				t.Fatalf("got %q", got)
			}
			if got := h["Cache-Control"]; len(got) != 1 || got[0] != "no-store" {
				t.Fatalf("Cache-Control: %q", got)
			}
			h = http.Header{}
			tc.c.Clear(h, tc.secure)
			if got := h.Get("Set-Cookie"); !strings.HasPrefix(got, tc.c.NameOn(tc.secure)+"=;") || !strings.Contains(got, "Max-Age=0") {
				t.Fatalf("got %q", got)
			}
		})
	}
}

func TestTake(t *testing.T) {
	c := Cookie{Name: "s"}
	for _, tc := range []struct {
		name   string
		lines  []string
		secure bool
		want   []string
	}{
		{"none", nil, false, nil},
		{"one", []string{"a=b; s=v; c=d"}, false, []string{"v"}},
		{"without blanks, in several lines", []string{"a=b;s=v", "s=w"}, false, []string{"v", "w"}},
		{"the same twice", []string{"s=v; s=v"}, false, []string{"v"}},
		{"with an equals sign", []string{"s=v=w"}, false, []string{"v=w"}},
		{"another case is another cookie", []string{"S=v"}, false, nil},
		{"prefixed on TLS", []string{"s=v; __Host-s=w"}, true, []string{"w"}},
		{"plain on clear connections", []string{"s=v; __Host-s=w"}, false, []string{"v"}},
		{"only a name", []string{"s; ;; =s"}, false, []string{""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := take(http.Header{"Cookie": tc.lines}, c.NameOn(tc.secure), Names{}); !slices.Equal(got, tc.want) {
				t.Fatalf("got %q", got)
			}
		})
	}
	t.Run("bounded", func(t *testing.T) {
		var b strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&b, "s=%d;", i)
		}
		if got := take(http.Header{"Cookie": {b.String()}}, "s", Names{}); len(got) != maxValues {
			t.Fatalf("%d values", len(got))
		}
	})
}

func TestStrip(t *testing.T) {
	names := newNames("s", "__Host-s")
	for _, tc := range []struct {
		name        string
		lines, want []string
		removed     int
	}{
		{"nothing of ours", []string{`a="b; c", d=e;;f`}, []string{`a="b; c", d=e;;f`}, 0},
		{"only ours", []string{"s=v"}, nil, 1},
		{"in the middle", []string{`a="x"; s=v;  c=d`}, []string{`a="x";  c=d`}, 1},
		{"first", []string{"s=v; a=b"}, []string{"a=b"}, 1},
		{"last", []string{"a=b; s=v"}, []string{"a=b"}, 1},
		{"several, in several lines", []string{"s=1; a=b; S=2", "__Host-s=3", "s"}, []string{"a=b"}, 4},
		{"white space around", []string{"a=b;\ts \t=v"}, []string{"a=b"}, 1},
		{"in the last line", []string{"a=b", "c=d; s=v"}, []string{"a=b", "c=d"}, 1},
		{"in the first line", []string{"s=v", "a=b"}, []string{"a=b"}, 1},
		{"between several", []string{"a=1; s=v; b=2; s=w; c=3;s=x"}, []string{"a=1; b=2; c=3"}, 3},
		{"between nothing", []string{";s=v;;s;"}, nil, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{"Cookie": slices.Clone(tc.lines)}
			if n := Strip(h, names); n != tc.removed || !slices.Equal(h["Cookie"], tc.want) {
				t.Fatalf("%d removed, left %q", n, h["Cookie"])
			}
			if _, there := h["Cookie"]; there != (tc.want != nil) {
				t.Fatal("an empty header is left")
			}
		})
	}
}

func TestStripSet(t *testing.T) {
	r := ring(t, NewKey())
	h := http.Header{"Set-Cookie": {"a=b", "s=v; Path=/", " S =v", "ss=v", "s"}}
	if n, own := StripSet(h, newNames("s"), r); n != 3 || !slices.Equal(own, []string{"s", "s", "s"}) || !slices.Equal(h["Set-Cookie"], []string{"a=b", "ss=v"}) {
		t.Fatalf("%d removed, left %q", n, h["Set-Cookie"])
	}
	h = http.Header{"Set-Cookie": {"s=v"}}
	if StripSet(h, newNames("s"), r); h["Set-Cookie"] != nil {
		t.Fatal("an empty header is left")
	}
	h = http.Header{"Set-Cookie": {"other=" + r.Sign("cart", New()) + "; Path=/", "other=" + ring(t, NewKey()).Sign("cart", New())}}
	if n, own := StripSet(h, newNames("s"), r); n != 1 || own != nil || len(h["Set-Cookie"]) != 1 {
		t.Fatalf("%d removed, left %q", n, h["Set-Cookie"])
	}
}

// No program that reads cookies as Go does finds one of ours, and what others find
// is as before.
func FuzzStrip(f *testing.F) {
	f.Add("a=b; s=v; c=d")
	f.Add("s=v;s;=s; S=v")
	f.Add("a=\"s=v; s=w\"; s=x,s=y")
	f.Fuzz(func(t *testing.T, line string) {
		names := newNames("s", "__Host-s")
		before := (&http.Request{Header: http.Header{"Cookie": {line}}}).Cookies()
		h := http.Header{"Cookie": {line}}
		Strip(h, names)
		after := (&http.Request{Header: h}).Cookies()
		i := 0
		for _, c := range before {
			if names.Has(c.Name) {
				continue
			}
			if i >= len(after) || after[i].Name != c.Name || after[i].Value != c.Value {
				t.Fatalf("%q became %q", line, h["Cookie"])
			}
			i++
		}
		if i != len(after) {
			t.Fatalf("%q became %q", line, h["Cookie"])
		}
	})
}

// What Go's reader finds under the name, take finds too, and what is left is
// what Strip leaves.
func FuzzTake(f *testing.F) {
	f.Add("a=b; s=v; c=d")
	f.Add("s=v; s=\"w\";s=x,y")
	f.Fuzz(func(t *testing.T, line string) {
		names := newNames("s", "__Host-s")
		h, stripped := http.Header{"Cookie": {line}}, http.Header{"Cookie": {line}}
		cookies := (&http.Request{Header: h}).CookiesNamed("s")
		values := take(h, "s", names)
		if Strip(stripped, names); !slices.Equal(h["Cookie"], stripped["Cookie"]) {
			t.Fatalf("%q became %q, not %q", line, h["Cookie"], stripped["Cookie"])
		}
		for _, c := range cookies {
			value, quoted := trim(c.Value), `"`+c.Value+`"`
			if len(values) < maxValues && !slices.Contains(values, value) && !slices.Contains(values, quoted) {
				t.Fatalf("%q: %q is not among %q", line, c.Value, values)
			}
		}
	})
}

func BenchmarkStrip(b *testing.B) {
	names := newNames("shop_ticket", "__Host-shop_ticket", "cart_ticket")
	line := "theme=dark; shop_ticket=" + strings.Repeat("x", Len) + "; lang=en"
	b.ReportAllocs()
	for b.Loop() {
		Strip(http.Header{"Cookie": {line}}, names)
	}
}
