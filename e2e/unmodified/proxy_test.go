package unmodified

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// proxy is one running proxy, with a directory of its own.
type proxy struct {
	*product.Process
	t         *testing.T
	dir, base string
}

const globals = `{
	admin off
	auto_https off
}
`

// newProxy starts the proxy in front of both copies of an app; session is put
// into the route of each, with {name} and {path} of the copy.
func newProxy(t *testing.T, pair *pair, session string) *proxy {
	t.Helper()
	address, _, err := free()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(workdir, "proxy")
	if err != nil {
		t.Fatal(err)
	}
	var routes strings.Builder
	for _, m := range pair.mounts() {
		block := strings.NewReplacer("{name}", m.name, "{path}", m.path).Replace(session)
		routes.WriteString(strings.ReplaceAll(m.route, "{session}", block))
	}
	p := &proxy{t: t, dir: dir, base: "http://" + address}
	text := strings.ReplaceAll(globals, "{dir}", dir) + fmt.Sprintf("http://%s {\n%s}\n", address, routes.String())
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	return p
}

func (p *proxy) start() {
	p.t.Helper()
	env := []string{"HOME=" + p.dir, "XDG_DATA_HOME=" + p.dir + "/data", "XDG_CONFIG_HOME=" + p.dir + "/config"}
	var err error
	if p.Process, err = product.Start(env, p.dir, binary, "run", "--config", "Caddyfile", "--adapter", "caddyfile"); err != nil {
		p.t.Fatal(err)
	}
	started := p.Process
	p.t.Cleanup(func() {
		started.Kill()
		if text := started.Output(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			p.t.Errorf("the proxy:\n%s", text)
		} else if p.t.Failed() {
			p.t.Logf("the proxy:\n%s", text)
		}
	})
	serving := func() bool { return strings.Contains(started.Output(), "serving initial configuration") }
	if err := product.Await("the proxy serves", started, time.Minute, serving); err != nil {
		p.t.Fatal(err)
	}
}
