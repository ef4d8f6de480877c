// Package unmodified mounts real apps that know nothing of the proxy, each
// twice, behind one of its Caddyfiles: two users, signed in to one copy each,
// in one browser.
package unmodified

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// startLimit is how long an app may take to serve, with all others beside it.
const startLimit = 4 * time.Minute

var (
	binary  string // the program under test, built once
	workdir string // of all apps
	cache   string // where `make test-deps` unpacks what is not installed
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var err error
	if workdir, err = os.MkdirTemp("", "unmodified"); err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(workdir) }()
	if cache, err = os.UserCacheDir(); err != nil {
		return fail(err)
	}
	cache = filepath.Join(cache, "sessionproxy-e2e")
	binary = filepath.Join(workdir, "sessionproxy")
	if err := product.Build(context.Background(), binary, "-race"); err != nil {
		return fail(err)
	}
	defer endAll()
	return m.Run()
}

// app is a real app, how it is started, and how its pages are used.
type app struct {
	name   string // of both copies, with -a and -b
	needs  []string
	start  func(pair *pair) error
	words  string   // what it needs in the cookies block
	adopt  string   // its cookies, by which its users are known
	broken []string // checks that fail behind plain Caddy

	login  func(v *visitor, at *mount, user string)
	who    func(v *visitor, at *mount) string // the signed-in user, or ""
	logout func(v *visitor, at *mount)
}

// mount is one running copy of an app.
type mount struct {
	name, path string // name is of the session's manager as well
	dir        string
	route      string // Caddyfile, with {session} where the directive of that name goes
	stripped   bool   // the route takes the path away, and the session knows it by that
	user       string // signs in to it
}

// pair is an app that is mounted twice.
type pair struct {
	app  *app
	a, b *mount
	done chan struct{}
	err  error
	took time.Duration
}

var (
	mu         sync.Mutex
	programs   []*product.Process // what runs until the end
	pairs      = make(map[*app]*pair)
	errMissing = errors.New("`make test-deps` installs it")
)

// endAll kills every program by its process group.
func endAll() {
	mu.Lock()
	defer mu.Unlock()
	for _, p := range programs {
		p.Kill()
	}
}

// launch begins to start both copies of an app, and returns at once.
func launch(a *app) *pair {
	mu.Lock()
	defer mu.Unlock()
	p := pairs[a]
	if p == nil {
		p = &pair{app: a, done: make(chan struct{})}
		p.a, p.b = newMount(a, "a", "alice"), newMount(a, "b", "bob")
		pairs[a] = p
		go p.start()
	}
	return p
}

func newMount(a *app, letter, user string) *mount {
	name := a.name + "-" + letter
	return &mount{name: name, path: "/" + name, dir: filepath.Join(workdir, name), user: user}
}

func (p *pair) start() {
	defer close(p.done)
	began := time.Now()
	for _, name := range p.app.needs {
		if inside, ok := strings.CutPrefix(name, "cache/"); ok {
			name = filepath.Join(cache, inside)
			if _, err := os.Stat(name); err == nil {
				continue
			}
		} else if _, err := product.Find(name); err == nil {
			continue
		} else if _, err := os.Stat(name); err == nil {
			continue
		}
		p.err = fmt.Errorf("%s is missing: %w", name, errMissing)
		return
	}
	for _, m := range p.mounts() {
		if p.err = os.MkdirAll(m.dir, 0o750); p.err != nil {
			return
		}
	}
	p.err = p.app.start(p)
	p.took = time.Since(began)
}

func (p *pair) mounts() []*mount { return []*mount{p.a, p.b} }

// ready waits until both copies serve, or skips the test by the name of what is
// missing.
func (p *pair) ready(t *testing.T) {
	t.Helper()
	<-p.done
	if errors.Is(p.err, errMissing) && os.Getenv("CI") != "true" {
		t.Skip(p.err)
	}
	if p.err != nil {
		t.Fatalf("%s does not start: %v", p.app.name, p.err)
	}
	t.Logf("%s took %v to start twice", p.app.name, p.took.Round(100*time.Millisecond))
}

// each does something for both copies at once.
func (p *pair) each(do func(*mount) error) error {
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, m := range p.mounts() {
		wg.Go(func() { errs[i] = do(m) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// runTo runs a program to its end.
func runTo(env []string, dir, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %v: %w:\n%s", name, args, err, out)
	}
	return nil
}

// serve starts a program that runs until the end, and waits until it listens.
func serve(network, address string, env []string, dir, name string, args ...string) (*product.Process, error) {
	p, err := product.Start(env, dir, name, args...)
	if err != nil {
		return nil, err
	}
	mu.Lock()
	programs = append(programs, p)
	mu.Unlock()
	err = product.Await(name+" serves", p, startLimit, func() bool { return product.Listens(network, address) })
	if err != nil {
		return p, fmt.Errorf("%w:\n%s", err, p.Output())
	}
	return p, nil
}

// free returns an address of 127.0.0.1 and its port.
func free() (address, port string, err error) {
	n, err := product.FreePort()
	return fmt.Sprintf("127.0.0.1:%d", n), fmt.Sprint(n), err
}

// write writes a file below a directory, which it makes.
func write(dir, name, text string) error {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// password of a user: long enough, and with all kinds of characters.
func password(user string) string { return user + "-Kept-Secret-7" }
