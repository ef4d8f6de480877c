package sessionproxy_test

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sessionproxy/sessionproxy"

// floors are the packages from the top of the house down: a package imports
// those of lower floors only. A pattern is that of path.Match.
var floors = [][]string{
	{"cmd/sessionproxy"},
	{"caddymodule"},
	{"caddymodule/command"},
	{"caddymodule/adminapi", "caddymodule/handler", "caddymodule/listeners/*"},
	{"caddymodule/app", "caddymodule/stores/*"},
	{"caddymodule/internal/caddytest"},
	{"caddymodule/internal/runtime"},
	{"caddymodule/internal/cfblock"},
	{"sessionproxy"},
	{"sessionproxy/internal/sessiontest"},
	{"sessionproxy/delivery", "sessionproxy/session"},
	{"sessionproxy/change", "sessionproxy/event", "sessionproxy/lock"},
	{"sessionproxy/internal/guard", "sessionproxy/document", "sessionproxy/jar", "sessionproxy/ticket"},
	{"store/storetest"},
	{"store/badgerstore", "store/memstore", "store/redisstore", "store/instrument"},
	{"store/badgerstore/internal/disk"},
	{"store/badgerstore/internal/rawfiles"},
	{"store/badgerstore/internal/panics", "store/archive"},
	{"internal/keytext", "internal/redistest", "store", "store/internal/crc32c"},
}

// walls are imports that only some packages may have, whatever their floor.
var walls = []struct {
	imported string // and what is below it
	by       []string
}{
	{"github.com/caddyserver/", []string{"cmd/sessionproxy", "caddymodule", "caddymodule/*", "caddymodule/*/*"}},
	{"github.com/dgraph-io/", []string{"store/badgerstore", "store/badgerstore/internal/*"}},
	{"github.com/redis/", []string{"store/redisstore"}},
	{module + "/store/redisstore", []string{"caddymodule/stores/redis"}},
	{module + "/caddymodule/stores/redis", []string{"cmd/sessionproxy"}}, // a build with the other modules alone does not carry its client
	{"net/http", []string{"cmd/sessionproxy", "caddymodule", "caddymodule/*", "caddymodule/*/*", "sessionproxy", "sessionproxy/ticket"}},
	{"testing", []string{"caddymodule/internal/caddytest", "internal/redistest", "sessionproxy/internal/sessiontest", "store/storetest"}},
	{module + "/caddymodule/internal/caddytest", nil},
	{module + "/sessionproxy/internal/sessiontest", nil},
	{module + "/internal/redistest", nil},
	{module + "/store/storetest", nil},
}

const maxFiles, maxLines = 30, 300

// tooMany and tooLong are what is larger than it should be, and how large it
// may be. They only get shorter.
var (
	tooMany = map[string]int{}
	tooLong = map[string]int{}
)

// sourceFile is a Go file of this module.
type sourceFile struct {
	name    string
	lines   int
	imports []string
}

// readHouse returns the files of each package, by its path in the module: those
// of the product, or the tests.
func readHouse(t *testing.T, tests bool) map[string][]sourceFile {
	t.Helper()
	house := make(map[string][]sourceFile)
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, own := os.Stat(filepath.Join(name, "go.mod"))
			if name != "." && (own == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		if strings.HasSuffix(name, "_test.go") != tests {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		f := sourceFile{name: filepath.ToSlash(name), lines: bytes.Count(text, []byte("\n"))}
		for _, i := range parsed.Imports {
			f.imports = append(f.imports, strings.Trim(i.Path.Value, `"`))
		}
		dir := path.Dir(f.name)
		house[dir] = append(house[dir], f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return house
}

// isOneOf reports whether one of the patterns matches.
func isOneOf(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, pkg); return ok })
}

// floorOf returns the number of a package's floor, from the top, or -1.
func floorOf(pkg string) int {
	return slices.IndexFunc(floors, func(patterns []string) bool { return isOneOf(patterns, pkg) })
}

// misplaced says what is wrong with an import of a package, if anything is.
func misplaced(pkg, imported string) error {
	for _, w := range walls {
		if (imported == w.imported || strings.HasPrefix(imported, strings.TrimSuffix(w.imported, "/")+"/")) && !isOneOf(w.by, pkg) {
			return fmt.Errorf("only %v import %s", w.by, w.imported)
		}
	}
	below, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return nil
	}
	switch from, to := floorOf(pkg), floorOf(below); {
	case from < 0 || to < 0:
		return fmt.Errorf("%s or %s is on no floor: give it one in house_test.go", pkg, below)
	case from >= to:
		return fmt.Errorf("%s is not below %s", below, pkg)
	}
	return nil
}

// TestImportsPointDown reads the imports of every package.
func TestImportsPointDown(t *testing.T) {
	house := readHouse(t, false)
	for _, patterns := range floors {
		for _, p := range patterns {
			found := false
			for pkg := range house {
				ok, _ := path.Match(p, pkg)
				found = found || ok
			}
			if !found {
				t.Errorf("there is no package %s: take it out of floors", p)
			}
		}
	}
	for pkg, files := range house {
		if floorOf(pkg) < 0 {
			t.Errorf("package %s is on no floor: give it one in house_test.go", pkg)
		}
		for _, f := range files {
			for _, imported := range f.imports {
				if err := misplaced(pkg, imported); err != nil {
					t.Errorf("%s imports %s: %v", f.name, imported, err)
				}
			}
		}
	}
}

// TestMisplacedImportsAreFound shows what the rules refuse.
func TestMisplacedImportsAreFound(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		ok            bool
	}{
		{"caddymodule/handler", module + "/caddymodule/app", true},
		{"caddymodule/app", module + "/caddymodule/handler", false},
		{"caddymodule/handler", module + "/caddymodule/listeners/webhook", false}, // of the same floor
		{"caddymodule/internal/runtime", module + "/caddymodule/stores/badger", false},
		{"sessionproxy/session", "github.com/caddyserver/caddy/v2", false},
		{"sessionproxy/session", "net/http", false},
		{"sessionproxy/session", module + "/sessionproxy/change", true},
		{"sessionproxy/session", module + "/sessionproxy/delivery", false}, // of the same floor
		{"sessionproxy/lock", module + "/sessionproxy/session", false},
		{"sessionproxy/ticket", "net/http/httptrace", true},
		{"store", module + "/sessionproxy/document", false},
		{"caddymodule/handler", module + "/store/storetest", false},
		{"caddymodule/handler", "github.com/dgraph-io/badger/v4", false},
		{"caddymodule/handler", module + "/attic", false},
	} {
		if err := misplaced(c.pkg, c.imported); (err == nil) != c.ok {
			t.Errorf("%s imports %s: %v", c.pkg, c.imported, err)
		}
	}
}

// TestRoomsAreSmall counts files and lines.
func TestRoomsAreSmall(t *testing.T) {
	files, lines := make(map[string]int), make(map[string]int)
	for pkg, all := range readHouse(t, false) {
		files[pkg] = len(all)
		for _, f := range all {
			lines[f.name] = f.lines
		}
	}
	for _, all := range readHouse(t, true) {
		for _, f := range all {
			lines[f.name] = f.lines
		}
	}
	for _, err := range tooLarge(files, maxFiles, tooMany, "files") {
		t.Error(err)
	}
	for _, err := range tooLarge(lines, maxLines, tooLong, "lines") {
		t.Error(err)
	}
}

// tooLarge returns an error for each that has more than the limit, or more than
// its exception says, and for each exception that is needed no more.
func tooLarge(sizes map[string]int, limit int, exceptions map[string]int, of string) (errs []error) {
	for name, n := range sizes {
		if allowed := max(limit, exceptions[name]); n > allowed {
			errs = append(errs, fmt.Errorf("%s has %d %s, and may have %d: divide it by its subjects", name, n, of, allowed))
		}
	}
	for name, allowed := range exceptions {
		if n := sizes[name]; n <= limit {
			errs = append(errs, fmt.Errorf("%s has %d %s: its exception of %d is needed no more", name, n, of, allowed))
		}
	}
	return errs
}

func TestSizesAreHeld(t *testing.T) {
	sizes := map[string]int{"small": 3, "large": 4, "known": 5, "grown": 7, "shrunk": 3}
	got := tooLarge(sizes, 3, map[string]int{"known": 5, "grown": 6, "shrunk": 5, "gone": 4}, "files")
	slices.SortFunc(got, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	want := "[gone has 0 files: its exception of 4 is needed no more" +
		" grown has 7 files, and may have 6: divide it by its subjects" +
		" large has 4 files, and may have 3: divide it by its subjects" +
		" shrunk has 3 files: its exception of 5 is needed no more]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v", got)
	}
}

// TestFeaturesAreResolvedOnce: outside of package store and what is below it,
// what a store can do is asked of store.Features, which are found when it opens.
func TestFeaturesAreResolvedOnce(t *testing.T) {
	for pkg, files := range readHouse(t, false) {
		if pkg == "store" || strings.HasPrefix(pkg, "store/") {
			continue
		}
		for _, f := range files {
			text, err := os.ReadFile(f.name)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(text, []byte("store.As[")) {
				t.Errorf("%s asks a store what it can do: use store.Features", f.name)
			}
		}
	}
}
