package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser starts a real browser with a profile of its own.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := need(t, "chromium", "chromium-browser", "google-chrome")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1100, 820),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// TestDemoInABrowser: two apps, one browser. Values are kept apart, are there
// after a restart of the proxy, and are gone after the logout.
func TestDemoInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	dir := t.TempDir()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	demo := func() *process {
		p := start(t, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, dir, binary, "demo", "--listen", address, "--dir", filepath.Join(dir, "state"))
		until(t, "the demo serves", p, func() bool { return strings.Contains(p.output(), "Look here:") })
		return p
	}
	p := demo()
	do := func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	text := func(selector string) string {
		t.Helper()
		got, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector)))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(got)
	}
	open := func(path string) { t.Helper(); do(chromedp.Navigate("http://" + address + path)) }
	// A click that posts leads to a page like the one before: look until it is the new one.
	click := func(selector, id, want string) {
		t.Helper()
		do(chromedp.Click(chromedp.CSS(selector)))

		until(t, fmt.Sprintf("#%s says %s", id, want), p, func() bool {
			ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`document.getElementById(%q)?.innerText.includes(%q) === true`, id, want)))
			return err == nil && ok
		})
	}
	shot := func(name string) {
		t.Helper()
		folder := os.Getenv("SESSIONPROXY_SCREENSHOTS")
		if folder == "" {
			return
		}
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	open("/")
	shot("index")
	open("/guestbook/")
	do(chromedp.SendKeys(chromedp.CSS("#text"), "Greetings <b>& more</b>"))
	click("#write", "entries", "Greetings <b>& more</b>")
	guestbookID := text("#session-id")
	shot("guestbook")

	open("/cart/")
	if got := text("#session-state"); got != "new" {
		t.Fatalf("the cart's session is %s: it knows of the guest book's", got)
	}
	click("#add-tea", "n-tea", "1")
	click("#add-tea", "n-tea", "2")
	do(chromedp.SendKeys(chromedp.CSS("#name"), "Alice"))
	click("#login", "principal", "Alice")
	shot("cart")
	if data, id := text("#session-data"), text("#session-id"); strings.Contains(data, "Greetings") || id == guestbookID || !strings.Contains(data, `"tea": 2`) {
		t.Fatalf("the cart knows %s as %s", data, id)
	}

	p.stop()
	p = demo()
	open("/guestbook/")
	if id, data := text("#session-id"), text("#session-data"); id != guestbookID || !strings.Contains(data, "Greetings <b>& more</b>") {
		t.Fatalf("after the restart the guest book knows %s as %s", data, id)
	}
	open("/cart/")
	if got := text("#n-tea"); got != "2" || text("#principal") != "Alice" {
		t.Fatalf("after the restart the cart has %s, of %s", got, text("#principal"))
	}

	click("#logout", "principal", "nobody")
	if got := text("#session-data"); got != "{}" {
		t.Fatalf("after the logout the cart knows %s", got)
	}
	open("/guestbook/")
	if got := text("#session-id"); got != guestbookID {
		t.Fatal("the logout from the cart ended the guest book's session")
	}
	p.stop()
}
