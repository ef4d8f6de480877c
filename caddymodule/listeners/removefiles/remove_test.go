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

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

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
