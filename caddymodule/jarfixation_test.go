package caddymodule_test

import (
	"net/http"
	"slices"
	"testing"
)

// plant gives a browser the ticket of another one.
func (b *jarBrowser) plant(ticket string) {
	b.T.Helper()
	b.Jar.SetCookies(b.URL(), []*http.Cookie{{Name: "shop_ticket", Value: ticket, Path: "/"}})
}

// TestJarAndPlantedTickets: an attacker begins a session and plants its ticket
// in the browser of a victim, at each stage of a login: the attacker is never
// signed in by it.
func TestJarAndPlantedTickets(t *testing.T) {
	const loggedIn = "sid=victim; HttpOnly"
	form := func(v *jarBrowser) { v.asks("POST", "/login", pageHeader, loggedIn) }
	callback := func(v *jarBrowser) {
		v.asks("GET", "/callback", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "document"}, loggedIn)
	}
	keptID := func(v *jarBrowser) { // the app signs in the session id that it has
		v.asks("GET", "/sso", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "document"})
	}
	s, first := newJarSite(t, "handle {\n session shop {\n cookies {\n login {\n path /sso\n }\n }\n }\n reverse_proxy APP\n}")
	for _, stage := range []string{"before", "between", "after"} {
		for name, login := range map[string]func(*jarBrowser){"form": form, "callback": callback, "callback that keeps the id": keptID} {
			for _, had := range []string{"nothing", "an id"} {
				t.Run(name+", planted "+stage+", with "+had, func(t *testing.T) {
					attacker, victim := first.another(s), first.another(s)
					attacker.T, victim.T, first.app.t = t, t, t
					lines := []string{"seen=1; HttpOnly"}
					if had == "an id" {
						lines = append(lines, "sid=attacker; HttpOnly")
					}
					attacker.asks("GET", "/", pageHeader, lines...)
					planted := attacker.ticket("/", "shop")
					if planted == "" {
						t.Fatal("no ticket")
					}
					if stage == "before" {
						victim.plant(planted)
					}
					victim.asks("GET", "/login", pageHeader)
					if stage == "between" {
						victim.plant(planted)
					}
					login(victim)
					if own := victim.ticket("/", "shop"); own == planted {
						t.Error("the victim still has the planted ticket")
					}
					if stage == "after" {
						victim.asks("GET", "/", pageHeader)
						victim.plant(planted) // and is signed out by it, which is no leak
					}
					attacker.asks("GET", "/", scriptHeader)
					if got := attacker.app.cookies(); got != "seen=1" && got != "seen=1; sid=attacker" && got != "" {
						t.Errorf("the attacker's app got %q", got)
					}
					// Nor by a form that is sent once more, or a cookie that begins anew.
					attacker.asks("POST", "/login", pageHeader)
					attacker.asks("GET", "/", scriptHeader, "late=1; HttpOnly")
					attacker.asks("GET", "/", scriptHeader)
					if got := attacker.app.cookies(); got == "sid=victim" || slices.Contains([]string{"sid=victim; seen=1", "seen=1; sid=victim"}, got) {
						t.Errorf("the attacker's app got %q in the end", got)
					}
				})
			}
		}
	}
}

// TestJarAndLoginsThatKeepTheID: an app that signs in the id which it has is
// open to a planted ticket without `login`, and not with it. The old ticket
// sees nothing at all then.
func TestJarAndLoginsThatKeepTheID(t *testing.T) {
	_, b := newJarSite(t, "handle {\n session shop {\n cookies {\n login {\n method POST\n path /login\n }\n }\n }\n reverse_proxy APP\n}")
	b.asks("GET", "/", pageHeader, "sid=1; HttpOnly")
	old := b.ticket("/", "shop")
	b.app.status = http.StatusForbidden
	b.asks("POST", "/login", pageHeader)
	if b.ticket("/", "shop") != old {
		t.Error("a login that fails replaces the ticket")
	}
	b.app.status = http.StatusFound
	b.asks("POST", "/login", pageHeader)
	b.app.status = 0
	if b.ticket("/", "shop") == old {
		t.Error("the ticket is not replaced")
	}
	b.sends("/", "sid=1")
	b.plant(old)
	b.sends("/", "")
}
