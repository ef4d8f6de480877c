package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages returns the names of the documents that users read.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../docs/*.md")
	if err != nil || len(found) < 10 {
		t.Fatal("pages", found, err)
	}
	return append(found, "../README.md", "../CONTRIBUTING.md", "../SECURITY.md", "../CHANGELOG.md")
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is one fenced block of code on a page.
type block struct {
	page, language, text string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// blocks returns the blocks in a language, of all pages.
func blocks(t *testing.T, language string) (found []block) {
	t.Helper()
	for _, page := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(read(t, page), -1) {
			if m[1] == language {
				found = append(found, block{page, language, m[2]})
			}
		}
	}
	return found
}

// blocksWith returns the blocks in a language that contain a text.
func blocksWith(t *testing.T, language, text string) []block {
	t.Helper()
	found := slices.DeleteFunc(blocks(t, language), func(b block) bool { return !strings.Contains(b.text, text) })
	if len(found) == 0 {
		t.Fatalf("no page has a block of %s with %q", language, text)
	}
	return found
}

// programs returns the blocks in a language that are a program of that name:
// their first line tells how to run them.
func programs(t *testing.T, language, name string) (found []block) {
	t.Helper()
	for _, b := range blocks(t, language) {
		if slices.Contains(strings.Fields(b.command()), name) {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		t.Fatalf("no page has a program of %s that is run as %s", language, name)
	}
	return found
}

// command is the command line in the block's first line.
func (b block) command() string {
	first, _, _ := strings.Cut(b.text, "\n")
	_, command, _ := strings.Cut(first, map[string]string{"python": "# ", "js": "// ", "php": "// ", "go": "// "}[b.language])
	return command
}

// TestEveryBlockIsRun: each block of a language that can be run is run by a
// test. A block without a language is for reading only.
func TestEveryBlockIsRun(t *testing.T) {
	t.Parallel()
	run := map[string][]string{ // by a word of the command, or of the block
		"python":    {"app.py", "login.py", "hook.py"},
		"js":        {"app.mjs", "hook.mjs"},
		"php":       {"app.php"},
		"go":        {"app.go", "mystore_test.go", "mylistener.go"},
		"sh":        {"$SESSION_ENDPOINT", "Session-Ticket", "sessionproxy sessions", "localhost:2019/sessions/", "bin/sessionproxy run", "make ", "xcaddy build"},
		"caddyfile": {""},
		"json":      {`"handler": "session"`},
		"http":      {""}, // for reading
		"text":      {""},
		"":          {""},
	}
	for _, page := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(read(t, page), -1) {
			b := block{page, m[1], m[2]}
			known := slices.ContainsFunc(run[b.language], func(word string) bool {
				if programs := "python js php go"; strings.Contains(programs, b.language) && b.language != "" {
					return slices.Contains(strings.Fields(b.command()), word)
				}
				return strings.Contains(b.text, word)
			})
			if !known {
				t.Errorf("%s: no test runs this block of %q:\n%s", page, b.language, b.text)
			}
		}
		if n := strings.Count(read(t, page), "```"); n != 2*len(fence.FindAllString(read(t, page), -1)) {
			t.Errorf("%s: %d fences, which are not pairs at the beginning of a line", page, n)
		}
	}
}

// TestShellBlocksNameWhatIs: blocks that build are not run, since the test was
// built by the same means; what they name exists.
func TestShellBlocksNameWhatIs(t *testing.T) {
	t.Parallel()
	makefile, module := read(t, "../Makefile"), read(t, "../go.mod")
	for _, b := range blocksWith(t, "sh", "make ") {
		for _, m := range regexp.MustCompile(`(?m)^make (\w[\w-]*)`).FindAllStringSubmatch(b.text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: the Makefile has no target %s", b.page, m[1])
			}
		}
	}
	for _, page := range pages(t) { // in the text
		for _, m := range regexp.MustCompile("`make (\\w[\\w-]*)").FindAllStringSubmatch(read(t, page), -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: the Makefile has no target %s", page, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`go run (?:-C (\w+) )?(\./[\w/]+)`).FindAllStringSubmatch(read(t, page), -1) {
			if info, err := os.Stat(filepath.Join("..", m[1], m[2])); err != nil || !info.IsDir() {
				t.Errorf("%s: there is no program %s", page, m[0])
			}
		}
	}
	for _, b := range blocksWith(t, "sh", "xcaddy build") {
		for _, m := range regexp.MustCompile(`xcaddy build (\S+)`).FindAllStringSubmatch(b.text, -1) {
			if !strings.Contains(module, "github.com/caddyserver/caddy/v2 "+m[1]+"\n") {
				t.Errorf("%s: go.mod does not have Caddy %s", b.page, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`--(with|replace) ([^\s=@]+)`).FindAllStringSubmatch(b.text, -1) {
			path, own := strings.CutPrefix(m[2], "github.com/sessionproxy/sessionproxy")
			if info, err := os.Stat(".." + path); !own || err != nil || !info.IsDir() {
				t.Errorf("%s: there is no package %s", b.page, m[2])
			}
		}
	}
}
