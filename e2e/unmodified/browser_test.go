package unmodified

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// chromium is a real browser, and the proxy that it looks at.
type chromium struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // the library keeps the browser in it
	p   *proxy
}

func newChromium(t *testing.T, p *proxy) *chromium {
	t.Helper()
	path, err := product.Find("chromium", "chromium-browser", "google-chrome")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1100, 820),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true))
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return &chromium{t: t, ctx: ctx, p: p}
}

// open goes to a page of the proxy.
func (c *chromium) open(path string) {
	c.t.Helper()
	if err := chromedp.Do(c.ctx, chromedp.Navigate(c.p.base+path)); err != nil {
		c.t.Fatalf("opening %s: %v", path, err)
	}
}

// run evaluates the body of an asynchronous function in the page, and expects
// what it returns as text.
func (c *chromium) run(what, body, want string) {
	c.t.Helper()
	got, err := c.evaluate(body)
	if err != nil || got != want {
		c.t.Errorf("%s: %q, want %q (%v)", what, got, want, err)
	}
}

func (c *chromium) evaluate(body string) (string, error) {
	return chromedp.Run(c.ctx, chromedp.Evaluate[string]("(async () => { "+body+" })().then(String, (e) => 'failed: ' + e)", chromedp.EvalAwaitPromise))
}

// signIn fills in and sends the form of a page, and waits until a text is there
// that only a signed-in user sees.
func (c *chromium) signIn(path string, fields map[string]string, seen string) {
	c.t.Helper()
	c.open(path)
	var fill strings.Builder
	fill.WriteString("let form;")
	for name, value := range fields {
		fmt.Fprintf(&fill, "{ const f = document.querySelector('[name=%s]'); f.value = %q; form = f.form; }", name, value)
	}
	if got, err := c.evaluate(fill.String() + "setTimeout(() => form.requestSubmit(), 0); return 'sent'"); err != nil || got != "sent" {
		c.t.Fatalf("signing in at %s: %s (%v)", path, got, err)
	}
	there := func() bool {
		got, err := c.evaluate(fmt.Sprintf("return document.readyState === 'complete' && document.body.innerHTML.includes(%q)", seen))
		return err == nil && got == "true"
	}
	if err := product.Await("signed in at "+path, nil, time.Minute, there); err != nil {
		c.shot("failed")
		text, evaluated := c.evaluate("return location + document.body.innerText")
		c.t.Fatal(errors.Join(err, evaluated), text)
	}
}

// shot writes what the browser shows as a picture, if a directory is named.
func (c *chromium) shot(name string) {
	c.t.Helper()
	dir := os.Getenv("SESSIONPROXY_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(c.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	}
	if err != nil {
		c.t.Error(err)
	}
}
