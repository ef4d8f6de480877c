package removefiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

// tree is a root with files in it, and others beside it that must stay.
//
//	outside/secret
//	root/a, root/b, root/dir/c, root/dir/sub/d, root/empty/, root/pipe
//	root/link → a, root/out → ../outside, root/in → dir, root/dangling → nothing
type tree struct{ top, root string }

func newTree(t testing.TB) tree {
	t.Helper()
	top := t.TempDir()
	tr := tree{top, filepath.Join(top, "root")}
	for _, dir := range []string{"outside", "root/dir/sub", "root/empty"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"outside/secret", "root/a", "root/b", "root/dir/c", "root/dir/sub/d", "root/ä ö"} {
		if err := os.WriteFile(filepath.Join(top, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link": "a", "out": "../outside", "in": "dir", "dangling": "nothing"} {
		if err := os.Symlink(target, filepath.Join(tr.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(tr.root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	return tr
}

// list returns all that there is, below the top.
func (tr tree) list(t testing.TB) (names []string) {
	t.Helper()
	err := filepath.WalkDir(tr.top, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, tr.top))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (tr tree) listener(t testing.TB, path string) *RemoveFiles {
	t.Helper()
	f := &RemoveFiles{Path: path, Root: tr.root}
	if err := f.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return f
}

func endWith(data string) event.Event {
	return event.Event{Kind: event.Delete, Manager: "shop", Data: []byte(data)}
}

func TestRemoveFiles(t *testing.T) {
	const regular = "its name is no relative path"
	long := strings.Repeat("x/", 600) + "x"
	for _, tc := range []struct {
		name, path, data string
		removed          []string // below root
		wrong            string   // in the error, which is hopeless
	}{
		{"one", "file", `{"file":"a"}`, []string{"a"}, ""},
		{"some", "files", `{"files":["a","dir/c","dir/sub/d","a"]}`, []string{"a", "dir/c", "dir/sub/d"}, ""},
		{"of all forms", "forms.*.file", `{"forms":{"x":{"file":"a"},"y":{"file":["b"]},"z":{}}}`, []string{"a", "b"}, ""},
		{"not ASCII", "file", `{"file":"\u00e4 \u00f6"}`, []string{"ä ö"}, ""},
		{"no such member", "file", `{"other":"a"}`, nil, ""},
		{"null", "file", `{"file":null}`, nil, ""},
		{"nulls", "files", `{"files":[null,"a",null]}`, []string{"a"}, ""},
		{"none", "files", `{"files":[]}`, nil, ""},
		{"no data", "files", ``, nil, ""},
		{"missing", "files", `{"files":["nothing","nowhere/x","dir/nothing","a"]}`, []string{"a"}, ""},
		{"number", "file", `{"file":7}`, nil, "leads to something that is no string"},
		{"object", "files", `{"files":[{"path":"a"},"b"]}`, []string{"b"}, "leads to something that is no string"},
		{"array of arrays", "files", `{"files":[["a"]]}`, nil, "leads to something that is no string"},
		{"empty name", "file", `{"file":""}`, nil, regular},
		{"root itself", "file", `{"file":"."}`, nil, regular},
		{"absolute", "file", `{"file":"/a"}`, nil, regular},
		{"up", "file", `{"file":"../outside/secret"}`, nil, regular},
		{"up and down", "file", `{"file":"../root/a"}`, nil, regular},
		{"up inside", "file", `{"file":"dir/../a"}`, nil, regular},
		{"up at the end", "file", `{"file":"dir/.."}`, nil, regular},
		{"dot", "file", `{"file":"./a"}`, nil, regular},
		{"two slashes", "file", `{"file":"dir//c"}`, nil, regular},
		{"trailing slash", "file", `{"file":"a/"}`, nil, regular},
		{"zero byte", "file", `{"file":"a\u0000"}`, nil, regular},
		{"zero byte before a way up", "file", `{"file":"a\u0000/../../outside/secret"}`, nil, regular},
		{"backslash", "file", `{"file":"..\\outside\\secret"}`, nil, ""}, // a name like any other here
		{"directory", "file", `{"file":"dir"}`, nil, "no regular file"},
		{"empty directory", "file", `{"file":"empty"}`, nil, "no regular file"},
		{"pipe", "file", `{"file":"pipe"}`, nil, "no regular file"},
		{"link to a file", "file", `{"file":"link"}`, nil, "no regular file"},
		{"dangling link", "file", `{"file":"dangling"}`, nil, "no regular file"},
		{"link to a directory", "file", `{"file":"in"}`, nil, "no regular file"},
		{"through a link out", "file", `{"file":"out/secret"}`, nil, "a symbolic link"},
		{"through a link inside", "file", `{"file":"in/c"}`, nil, "a symbolic link"},
		{"through a file", "file", `{"file":"a/b"}`, nil, "on the way to it is no directory"},
		{"through a pipe", "file", `{"file":"pipe/b"}`, nil, "on the way to it is no directory"},
		{"long", "file", `{"file":"` + long + `"}`, nil, "longer than 1024 bytes"},
		{"long step", "file", `{"file":"` + strings.Repeat("x", 300) + `"}`, nil, "too long for the file system"},
		{"good after bad", "files", `{"files":["../b","a","link","dir/c"]}`, []string{"a", "dir/c"}, "removing file 3 of 4"},
		{"too many", "files", `{"files":["a"` + strings.Repeat(`,"x"`, maxRemovedFiles-1) + `,"b"]}`, []string{"a"}, "more than 1000 files"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := newTree(t)
			want := slices.DeleteFunc(tr.list(t), func(name string) bool {
				return slices.Contains(tc.removed, strings.TrimPrefix(name, "/root/"))
			})
			f := tr.listener(t, tc.path)
			for attempt := range 2 { // twice is once
				err := f.Handle(t.Context(), endWith(tc.data))
				if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
					t.Errorf("attempt %d: got %v, want %q", attempt, err, tc.wrong)
				}
				if err != nil && !errors.Is(err, event.ErrPermanent) {
					t.Errorf("it is tried again for %v", err)
				}
				tellsNoName(t, err, tc.data)
				if got := tr.list(t); !slices.Equal(got, want) {
					t.Errorf("left are %q, want %q", got, want)
				}
			}
		})
	}
}

// tellsNoName fails if an error holds a name of three letters or more.
func tellsNoName(t *testing.T, err error, data string) {
	t.Helper()
	for _, name := range []string{"secret", "outside", "nowhere", "dangling", "xxx", "\\"} {
		if err != nil && strings.Contains(data, name) && strings.Contains(err.Error(), name) {
			t.Errorf("the error tells the name: %v", err)
		}
	}
}

func TestRemoveFilesOptions(t *testing.T) {
	t.Setenv("UPLOADS", "/uploads")
	f := &RemoveFiles{Path: "a", Root: "{env.UPLOADS}/x"}
	if err := f.Provision(caddy.Context{}); err != nil || f.root != "/uploads/x" || f.Root != "{env.UPLOADS}/x" {
		t.Errorf("root %q, shown as %q: %v", f.root, f.Root, err)
	}
	for _, tc := range []struct {
		name string
		f    RemoveFiles
		want string
	}{
		{"no path", RemoveFiles{Root: "/uploads"}, "reading path ''"},
		{"no root", RemoveFiles{Path: "a"}, "needs the directory"},
		{"unset variable", RemoveFiles{Path: "a", Root: "{env.UPLOADS_NOTHING}/x"}, "resolving root"},
		{"the whole disk", RemoveFiles{Path: "a", Root: "//."}, "the whole disk"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.f.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
