package ticket

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestHeaderNames(t *testing.T) {
	for _, tc := range []struct {
		name string
		ok   bool
	}{
		{"X-Session", true},
		{"Ticket", true},
		{"X-Shop-2", true},
		{"", false},
		{"X Session", false},
		{"X_session", false},
		{"X.session", false},
		{"X:Session", false},
		{"X-Séance", false},
		{"2-Session", false},
		{"-Session", false},
		{"Host", false},
		{"Cookie", false},
		{"Set-Cookie", false},
		{"Authorization", false},
		{"Connection", false},
		{"Content-Length", false},
		{"Transfer-Encoding", false},
		{"Trailer", false},
		{"Upgrade", false},
		{"Via", false},
		{"Sec-Fetch-Site", false},
		{"Proxy-Authorization", false},
		{"X-Forwarded-Proto", false},
		{"Access-Control-Allow-Origin", false},
		{"Accept-Encoding", false},
		{"If-None-Match", false},
		{"Session-Id", false},
		{"Session-Ticket", false},
		{"Session-Mine", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := (&Header{Name: tc.name}).Validate(); (err == nil) != tc.ok {
				t.Fatalf("got %v", err)
			}
		})
	}
	for _, name := range append(slices.Clone(taken), takenPrefixes...) {
		if http.CanonicalHeaderKey(name) != name {
			t.Errorf("%s is not in canonical form: nothing equals it", name)
		}
	}
}

func TestReadHeader(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"none", nil, nil},
		{"one", []string{"v"}, []string{"v"}},
		{"blanks around", []string{" \tv \t"}, []string{"v"}},
		{"several lines", []string{"v", "w", "v"}, []string{"v", "w"}},
		{"a list", []string{"v, w,v ,,x"}, []string{"v", "w", "x"}},
		{"empty: a wish", []string{""}, []string{""}},
		{"only blanks", []string{" \t"}, []string{""}},
		{"only commas", []string{", ,"}, nil},
		{"empty beside another", []string{"", "v"}, []string{"", "v"}},
		{"parameters are not cut off", []string{"v;q=1"}, []string{"v;q=1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := (&Header{Name: "X-Session"}).Extract(http.Header{"X-Session": tc.lines}, false, Names{}); !slices.Equal(got, tc.want) {
				t.Fatalf("got %q", got)
			}
		})
	}
	t.Run("bounded", func(t *testing.T) {
		var b strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&b, "%d,", i)
		}
		if got := (&Header{Name: "X-Session"}).Extract(http.Header{"X-Session": {b.String()}}, false, Names{}); len(got) != maxValues {
			t.Fatalf("%d values", len(got))
		}
	})
}

func TestSetAndClearHeaders(t *testing.T) {
	for _, tc := range []struct {
		name    string
		carrier Carrier
		header  string
	}{
		{"header", &Header{Name: "X-Session"}, "X-Session"},
		{"bearer", Bearer{}, "Session-Ticket"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{tc.header: {"planted", "twice"}, "Cache-Control": {"public, max-age=60"}}
			tc.carrier.Set(h, "v", false, 0)
			if !slices.Equal(h[tc.header], []string{"v"}) || !slices.Equal(h["Cache-Control"], []string{"no-store"}) {
				t.Fatalf("got %v", h)
			}
			h.Set("Cache-Control", "public")
			tc.carrier.Clear(h, false)
			if !slices.Equal(h[tc.header], []string{""}) || !slices.Equal(h["Cache-Control"], []string{"no-store"}) {
				t.Fatalf("got %v", h)
			}
			if tc.carrier.NeedsRenewal() {
				t.Fatal("a header has no lifetime")
			}
		})
	}
}

func TestStripHeaders(t *testing.T) {
	names := newNames("s").WithHeaders("X-Shop-Session", "Ticket")
	h := http.Header{
		"X-Shop-Session": {"v", "w"}, "X_shop-Session": {"v"}, "x.shop.session": {"v"}, "X_SHOP_SESSION": {"v"}, "TICKET": {"v"},
		"X-Shop-Sessions": {"kept"}, "XShopSession": {"kept"}, "Tickets": {"kept"}, "X@shop-Session": {"kept"},
	}
	if n := StripHeaders(h, names); n != 5 || len(h) != 4 {
		t.Fatalf("%d removed, left %v", n, h)
	}
	if n := StripHeaders(h, newNames("s")); n != 0 || len(h) != 4 {
		t.Fatalf("without names: %d removed", n)
	}
}

// Nothing is left that a gateway could turn into the name, as CGI does with
// '_', and whatever Read finds stood in the header.
func FuzzHeader(f *testing.F) {
	f.Add("X-Session", "v, w")
	f.Add("x_session", ",")
	f.Add("X.sEssion", " ")
	f.Add("X\x0dSession", "a\x00b")
	f.Fuzz(func(t *testing.T, name, line string) {
		h := http.Header{name: {line}}
		StripHeaders(h, newNames().WithHeaders("X-Session"))
		for left := range h {
			if strings.EqualFold(strings.NewReplacer("-", "_", ".", "_").Replace(left), "X_SESSION") && isASCII(left) {
				t.Fatalf("%q is left", left)
			}
		}
		for _, v := range (&Header{Name: "X-Session"}).Extract(http.Header{"X-Session": {line}}, false, Names{}) {
			if !strings.Contains(line, v) || strings.Contains(v, ",") || v != trim(v) {
				t.Fatalf("%q: read %q", line, v)
			}
		}
	})
}

// isASCII: other letters fold to ASCII ones in Go, but are in no header name.
func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
