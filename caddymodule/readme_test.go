package caddymodule

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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

// TestReadmeNamesAll: what a reader can write, call, get or count is in the README.
func TestReadmeNamesAll(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var metrics, commands []string
	for name := range exports(t) {
		metrics = append(metrics, name)
	}
	c := newCLI(nil, nil, nil)
	for _, s := range []subcommand{
		c.listCommand(), c.showCommand(), c.revokeCommand(), c.purgeCommand(), c.lettersCommand(), c.retryCommand(), c.discardCommand(),
		c.statsCommand(), c.topCommand(), c.backupCommand(), c.restoreCommand(), c.doctorCommand(),
	} {
		name, _, _ := strings.Cut(s.use, " ")
		commands = append(commands, name)
	}
	for what, c := range map[string]struct {
		names []string
		least int
	}{
		"metric":         {metrics, 25},
		"command":        {commands, 12},
		"Caddyfile word": {matches(t, `"(\w+)":\s+func\(\) error`, "caddyfile_*.go"), 35},
		"problem":        {matches(t, `urn:sessionproxy:([a-z-]+)`, "*.go", "../sessionproxy/*.go"), 12},
		"header":         {matches(t, `"(Session-[A-Z][A-Za-z-]+)"`, "../sessionproxy/*.go"), 11},
		"reason":         {matches(t, `\sReason\s+= "(\w+)"`, "../store/*.go"), 7},
		"event":          {matches(t, `"(session_\w+)"`, "events.go", "audit.go"), 6},
		"admin path":     {matches(t, `"(?:\w+ )?/sessions/([a-z-]+)`, "admin*.go"), 6},
	} {
		if len(c.names) < c.least {
			t.Errorf("there are %d of the kind %s: %q", len(c.names), what, c.names)
		}
		for _, name := range c.names {
			in := regexp.MustCompile(`(^|[^\w])` + regexp.QuoteMeta(name) + `($|[^\w])`).Match(text)
			if what == "header" { // also as `-State`, behind another one
				in = in || strings.Contains(string(text), "`"+strings.TrimPrefix(name, "Session")+"`")
			}
			if !in {
				t.Errorf("the README does not name the %s %s", what, name)
			}
		}
	}
}
