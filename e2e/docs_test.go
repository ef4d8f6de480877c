package e2e

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameRealTests: a page that says which test shows something names one
// that is there.
func TestDocsNameRealTests(t *testing.T) {
	t.Parallel()
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	there := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			there[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, page := range pages(t) {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`").FindAllStringSubmatch(read(t, page), -1) {
			if named++; !there[m[1]] {
				t.Errorf("%s names %s, which is no test", page, m[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("%d tests are named", named)
	}
}

// TestLinksLead: every relative link of a page leads to a file that is there,
// and to a heading of it.
func TestLinksLead(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, page := range pages(t) {
		prose := fence.ReplaceAllString(read(t, page), "")
		links := regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose, -1)
		links = append(links, regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(prose, -1)...)
		for _, m := range links {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if u.IsAbs() {
				continue
			}
			checked++
			target := page
			if u.Path != "" {
				target = filepath.Join(filepath.Dir(page), u.Path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if u.Fragment != "" && !anchors(read(t, target))[u.Fragment] {
				t.Errorf("%s: %s has no heading #%s", page, target, u.Fragment)
			}
		}
	}
	if checked < 50 {
		t.Errorf("%d links", checked)
	}
}

// anchors are the fragments that a page's headings have on GitHub.
func anchors(page string) map[string]bool {
	page = fence.ReplaceAllString(page, "")
	found := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.+?)\s*$`).FindAllStringSubmatch(page, -1) {
		heading := regexp.MustCompile(`\]\([^)]*\)`).ReplaceAllString(m[1], "")
		heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading), "")
		found[strings.ReplaceAll(heading, " ", "-")] = true
	}
	return found
}

// TestPagesSpeakOfThings: the subject of a sentence is a thing, or a person
// with a part to play: operator, author, client, visitor.
func TestPagesSpeakOfThings(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		for _, word := range regexp.MustCompile(`(?i)\b(?:whoever|nobody|somebody|anybody|everybody)\b`).FindAllString(read(t, page), -1) {
			t.Errorf("%s says %q: name the one that is meant", page, word)
		}
	}
}

// TestReadmeIsShort: the README is what a stranger reads; the rest has pages.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	readme := read(t, "../README.md")
	if n := strings.Count(readme, "\n"); n > 250 {
		t.Errorf("the README has %d lines, and at most 250 are read", n)
	}
	for _, page := range pages(t) {
		name := filepath.Base(page)
		if strings.HasPrefix(page, "../docs/") && !strings.Contains(readme, "(docs/"+name) {
			t.Errorf("the README does not lead to docs/%s", name)
		}
	}
}

// TestArchitectureNamesWhatIs: a link whose text is an identifier leads to the
// file in which that is declared.
func TestArchitectureNamesWhatIs(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, page := range pages(t) {
		for _, m := range regexp.MustCompile(`\[([^\]]+)\]\(([^)#]+\.go)\)`).FindAllStringSubmatch(read(t, page), -1) {
			file, err := os.ReadFile(filepath.Join(filepath.Dir(page), m[2]))
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			for _, name := range regexp.MustCompile("`([\\w.]+)`").FindAllStringSubmatch(m[1], -1) {
				receiver, method, ok := strings.Cut(name[1], ".")
				declared := `(?m)^(?:func |type |\t)` + name[1] + `\b`
				if ok {
					declared = `(?m)^func \((?:\w+ )?\*?` + receiver + `(?:\[\w+\])?\) ` + method + `\b|^type ` + method + `\b`
				}
				if checked++; !regexp.MustCompile(declared).Match(file) {
					t.Errorf("%s: %s does not declare %s", page, m[2], name[1])
				}
			}
		}
	}
	if checked < 60 {
		t.Errorf("%d names", checked)
	}
}

// TestLinesOfTheLogAreReal: a line of the log that a page explains is one that
// the program can write.
func TestLinesOfTheLogAreReal(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, root := range []string{"../caddymodule", "../sessionproxy", "../store"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				source.WriteString(read(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, section, ok := strings.Cut(read(t, "../docs/troubleshooting.md"), "\n## Lines of the log\n")
	lines := regexp.MustCompile(`(?m)^\| "([^|]+)" \|`).FindAllStringSubmatch(section, -1)
	if !ok || len(lines) < 25 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, m := range lines {
		if !strings.Contains(source.String(), m[1]) {
			t.Errorf("no code writes %q", m[1])
		}
	}
}
