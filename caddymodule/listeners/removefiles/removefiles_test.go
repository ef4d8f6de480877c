package removefiles

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
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

func TestRemoveFilesTriesAgain(t *testing.T) {
	tr := newTree(t)
	data := `{"files":["link","dir/c"]}`
	away := filepath.Join(tr.top, "away")
	if err := os.Rename(tr.root, away); err != nil {
		t.Fatal(err)
	}
	f := tr.listener(t, "files")
	err := f.Handle(t.Context(), endWith(data))
	if err == nil || errors.Is(err, event.ErrPermanent) || !strings.Contains(err.Error(), "opening root") {
		t.Errorf("without the root: %v", err)
	}
	if err := f.Handle(t.Context(), endWith(`{"files":[]}`)); err != nil {
		t.Errorf("without the root, and without a file: %v", err)
	}
	if err := os.Rename(away, tr.root); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Handle(ctx, endWith(data)); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	if err := f.Handle(t.Context(), endWith(data)); !errors.Is(err, event.ErrPermanent) {
		t.Errorf("with the root: %v", err)
	}
	if slices.Contains(tr.list(t), "/root/dir/c") {
		t.Error("the file is still there")
	}
}

// TestRemoveFilesWhileALinkTakesTheWay has another process put a link in a
// directory's place, and the directory back, as fast as can be.
func TestRemoveFilesWhileALinkTakesTheWay(t *testing.T) {
	tr := newTree(t)
	f := tr.listener(t, "file")
	swap := func(name string) string { return filepath.Join(tr.root, name) }
	for name, target := range map[string]string{"l1": "dir", "l2": "../outside"} {
		if err := os.Symlink(target, swap(name)); err != nil {
			t.Fatal(err)
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, name := range []string{"empty", "l1", "empty", "l2"} {
				if os.Rename(swap(name), swap("way")) != nil || os.Rename(swap("way"), swap(name)) != nil {
					t.Error("the swapping failed")
					return
				}
			}
		}
	}()
	for range 3000 {
		for _, data := range []string{`{"file":"way/c"}`, `{"file":"way/secret"}`} {
			_ = f.Handle(t.Context(), endWith(data)) // whatever it meets, it is no way to a file
		}
	}
	close(stop)
	<-stopped
	left := tr.list(t)
	for _, name := range []string{"/root/dir/c", "/outside/secret"} {
		if !slices.Contains(left, name) {
			t.Errorf("%s was removed", name)
		}
	}
}

// TestRemoveFilesThatCannotGo has the system refuse a file: it is tried again,
// and all others go at once.
func TestRemoveFilesThatCannotGo(t *testing.T) {
	tr := newTree(t)
	f := tr.listener(t, "files")
	broken := true
	f.remove = func(root *os.Root, name string) error {
		if name == "dir/c" && broken {
			return unlessMissing(&fs.PathError{Op: "unlinkat", Path: name, Err: syscall.EACCES})
		}
		return removeFile(root, name)
	}
	data := `{"files":["link","dir/c","a","out"]}`
	err := f.Handle(t.Context(), endWith(data))
	if !errors.Is(err, syscall.EACCES) || errors.Is(err, event.ErrPermanent) || strings.Contains(err.Error(), "dir/c") {
		t.Errorf("got %v", err)
	}
	if left := tr.list(t); slices.Contains(left, "/root/a") || !slices.Contains(left, "/root/dir/c") {
		t.Errorf("left are %q", left)
	}
	broken = false
	if err := f.Handle(t.Context(), endWith(data)); !errors.Is(err, event.ErrPermanent) {
		t.Errorf("got %v", err)
	}
	if slices.Contains(tr.list(t), "/root/dir/c") {
		t.Error("the file is still there")
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

// FuzzRemoveFiles gives names of any bytes that JSON can carry: nothing goes
// but regular files below the root, and no error tells a name.
func FuzzRemoveFiles(f *testing.F) {
	for _, name := range []string{"a", "dir/c", "../outside/secret", "out/secret", "in/c", "/etc/passwd", "dir/..", "a\x00b", ".", "", "link", "pipe", "..\\x", "C:\\x", "con"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		raw, err := json.Marshal(map[string]string{"file": name})
		if err != nil {
			t.Fatal(err)
		}
		data, err := document.Parse(raw, 0)
		if err != nil {
			return
		}
		tr := newTree(t)
		before := tr.list(t)
		err = tr.listener(t, "file").Handle(t.Context(), endWith(string(data)))
		if err != nil && len(name) > 20 && strings.Contains(err.Error(), name) {
			t.Errorf("the error tells the name: %v", err)
		}
		after := tr.list(t)
		gone := slices.DeleteFunc(slices.Clone(before), func(n string) bool { return slices.Contains(after, n) })
		may := []string{"/root/a", "/root/b", "/root/dir/c", "/root/dir/sub/d", "/root/ä ö"}
		if len(gone) > 1 || len(gone) == 1 && (!slices.Contains(may, gone[0]) || "/root/"+name != gone[0]) {
			t.Errorf("%q removed %q", name, gone)
		}
	})
}
