package handler

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func TestManagerIDOfASite(t *testing.T) {
	seen := make(map[string]string)
	for address, want := range map[string]string{
		"shop.example":            "shop.example",
		"SHOP2.example":           "shop2.example",
		"https://shop3.example":   "shop3.example",
		"shop4.example:443":       "shop4.example",
		"http://shop.example":     "shop.example_80",
		"shop5.example:80":        "shop5.example_80",
		"localhost:8080":          "localhost_8080",
		":8080":                   "_8080",
		"http://localhost_8080":   "localhost_8080_80-",
		"localhost_8080":          "localhost_8080-",
		"*.shop.example":          "_.shop.example-",
		"[::1]:8080":              "__1_8080-",
		"{env.SITE}":              "_env._____-",
		strings.Repeat("a.", 100): strings.Repeat("a.", 27) + "a-",
	} {
		got, err := managerID(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if err := session.CheckID(got); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if plain := got == want; !plain && (!strings.HasSuffix(want, "-") || !strings.HasPrefix(got, want) || len(got) != len(want)+8) {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have one id, %s", address, other, got)
		}
		seen[got] = address
	}
}

// seeSiteKeys is told of the site of each test_site_keys directive.
var seeSiteKeys func(keys []string)

func init() {
	httpcaddyfile.RegisterHandlerDirective("test_site_keys", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		keys, err := siteKeys(h)
		seeSiteKeys(keys)
		return new(Handler), err
	})
}

// TestSiteKeysOfThisCaddy guards what is read by reflection: it fails when a
// version of Caddy has moved it.
func TestSiteKeysOfThisCaddy(t *testing.T) {
	var got [][]string
	seeSiteKeys = func(keys []string) { got = append(got, keys) }
	_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(`
a.example, b.example:8080 {
	route {
		test_site_keys
	}
}
http://c.example {
	route {
		handle {
			route {
				test_site_keys
			}
		}
	}
}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"a.example", "b.example:8080"}, {"http://c.example"}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("keys %q, want %q", got, want)
	}
}

func TestSiteKeysWithoutSiteAsksForAName(t *testing.T) {
	if _, err := siteKeys(httpcaddyfile.Helper{}); err == nil || !strings.Contains(err.Error(), "session <name>") {
		t.Errorf("got %v", err)
	}
}
