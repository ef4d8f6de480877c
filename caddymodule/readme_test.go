package caddymodule_test

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// matches returns what an expression finds in the sources of a package.
func matches(t *testing.T, expression string, globs ...string) (found []string) {
	t.Helper()
	for _, glob := range globs {
		names, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(string(text), -1) {
				found = append(found, m[1])
			}
		}
	}
	return found
}

// pages returns the text of pages in docs, or of all if none is named.
func pages(t *testing.T, names ...string) (text string) {
	t.Helper()
	if len(names) == 0 {
		names = []string{"*"}
	}
	for _, name := range names {
		files, err := filepath.Glob("../docs/" + name + ".md")
		if err != nil || len(files) == 0 {
			t.Fatal(name, err)
		}
		for _, file := range files {
			page, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text += string(page)
		}
	}
	return text
}

// TestPagesNameAll: what a reader can write, call, get or count is on the page for it.
func TestPagesNameAll(t *testing.T) {
	var metrics, commands []string
	for name := range exports(t) {
		metrics = append(metrics, name)
	}
	root := new(cobra.Command)
	caddycmd.Commands()["sessions"].CobraFunc(root)
	for _, c := range root.Commands() {
		commands = append(commands, c.Name())
	}
	for what, c := range map[string]struct {
		page  string
		names []string
		least int
	}{
		"metric":         {"metrics", metrics, 25},
		"command":        {"operating", commands, 12},
		"Caddyfile word": {"caddyfile listeners", matches(t, `"(\w+)":\s+func\(\) error`, "*/caddyfile*.go", "*/*/caddyfile*.go"), 35},
		"problem":        {"", matches(t, `urn:sessionproxy:([a-z-]+)`, "*/*.go", "../sessionproxy/*.go"), 12},
		"header":         {"protocol", matches(t, `"(Session-[A-Z][A-Za-z-]+)"`, "../sessionproxy/*.go"), 11},
		"reason":         {"life", matches(t, `\sReason\s+= "(\w+)"`, "../store/*.go"), 7},
		"event":          {"", matches(t, `"(session_\w+)"`, "internal/runtime/*.go"), 6},
		"admin path":     {"operating", matches(t, `"(?:\w+ )?/sessions/([a-z-]+)`, "adminapi/*.go"), 6},
	} {
		if len(c.names) < c.least {
			t.Errorf("there are %d of the kind %s: %q", len(c.names), what, c.names)
		}
		text := pages(t, strings.Fields(c.page)...)
		for _, name := range c.names {
			in := regexp.MustCompile(`(^|[^\w])` + regexp.QuoteMeta(name) + `($|[^\w])`).MatchString(text)
			if !in {
				t.Errorf("docs/%s does not name the %s %s", c.page, what, name)
			}
		}
	}
}
