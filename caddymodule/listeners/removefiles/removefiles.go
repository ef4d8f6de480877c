package removefiles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

func init() {
	caddy.RegisterModule(new(RemoveFiles))
}

// RemoveFiles removes the files that a session names in its data, when the
// session has ended for whatever reason: uploads that no visitor can reach any
// more. A file that is not there counts as removed.
//
// Names are relative to a root and lead nowhere else: a name that is absolute
// or holds `..`, that is or passes a symbolic link, or that means a directory
// or a device is refused, for good. Neither logs nor errors tell names.
type RemoveFiles struct {
	// Path is where the data names the files: names and indexes with dots
	// between, as in the placeholder `{http.session.data.<path>}`, where `*`
	// stands for every member or element. It leads to strings, or to arrays
	// of strings; null names no file. `upload`, `uploads`, `forms.*.files`
	// and `files.*.path` are paths. Required.
	Path string `json:"path,omitempty"`

	// Root is the directory that the names are relative to. Placeholders are
	// resolved when the configuration loads. It must be there when a session
	// ends; until then the removal is tried again. Required.
	Root string `json:"root,omitempty"`

	// MaxPending is how many events may wait to be acted upon. Those beyond are dead
	// letters at once, which `sessionproxy sessions retry` has tried again. Default: 1000000.
	MaxPending int `json:"max_pending,omitempty"`

	path   document.Selection
	root   string
	remove func(root *os.Root, name string) error
}

const (
	// maxRemovedFiles is how many files one session may name.
	maxRemovedFiles = 1000
	// maxFileName is the longest name of a file, in bytes, directories included.
	maxFileName = 1024
)

// CaddyModule returns the Caddy module information.
func (*RemoveFiles) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: app.ListenerNamespace + ".remove_files", New: func() caddy.Module { return new(RemoveFiles) }}
}

// Provision resolves placeholders. It touches no file.
func (f *RemoveFiles) Provision(caddy.Context) error {
	var err error
	if f.path, err = f.parsePath(); err != nil {
		return err
	}
	root, err := caddy.NewReplacer().ReplaceOrErr(f.Root, true, true)
	if err != nil {
		return fmt.Errorf("resolving root of remove_files: %w", err)
	}
	if f.root, err = parseRoot(root); err != nil {
		return err
	}
	f.remove = removeFile
	return nil
}

// Validate checks what Provision does not need.
func (f *RemoveFiles) Validate() error {
	if err := app.CheckMaxPending(f.MaxPending); err != nil {
		return fmt.Errorf("checking remove_files: %w", err)
	}
	return nil
}

// PendingLimit implements PendingLimiter.
func (f *RemoveFiles) PendingLimit() int { return f.MaxPending }

func (f *RemoveFiles) parsePath() (document.Selection, error) {
	path, err := document.ParseSelection(f.Path)
	if err != nil {
		return nil, fmt.Errorf("reading path '%s' of remove_files: %w", f.Path, err)
	}
	return path, nil
}

// parseRoot returns the directory's absolute path.
func parseRoot(text string) (string, error) {
	if text == "" {
		return "", errors.New("remove_files needs the directory of the files in `root`")
	}
	root, err := filepath.Abs(text)
	if err != nil {
		return "", fmt.Errorf("resolving root of remove_files: %w", err)
	}
	if filepath.Dir(root) == root {
		return "", fmt.Errorf("root of remove_files is %s, the whole disk; name the directory of the files", root)
	}
	return root, nil
}

// EventKinds returns the one kind of event at which files are removed.
func (*RemoveFiles) EventKinds() []event.Kind { return []event.Kind{event.Delete} }

// Handle removes the files that a session which has ended names. All that can be
// removed are, whatever is wrong with others.
func (f *RemoveFiles) Handle(ctx context.Context, e event.Event) error {
	names, wrong := f.names(e.Data)
	if len(names) == 0 {
		return wrong
	}
	root, err := os.OpenRoot(f.root)
	if err != nil {
		return fmt.Errorf("opening root of remove_files: %w", err)
	}
	defer root.Close()
	var failed error
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := f.remove(root, name)
		switch {
		case err == nil:
			continue
		case errors.Is(err, event.ErrPermanent):
			wrong = fmt.Errorf("removing file %d of %d: %w", i+1, len(names), err)
		default:
			failed = fmt.Errorf("removing file %d of %d: %w", i+1, len(names), err)
		}
	}
	if failed != nil { // may succeed later, and what is wrong is told then
		return failed
	}
	return wrong
}

// names returns the names in the data, and what is wrong with it.
func (f *RemoveFiles) names(data []byte) (names []string, wrong error) {
	add := func(raw []byte) bool {
		switch {
		case raw[0] == '"' && len(names) == maxRemovedFiles:
			wrong = fmt.Errorf("the session names more than %d files: %w", maxRemovedFiles, event.ErrPermanent)
			return false
		case raw[0] == '"':
			name, err := document.ParseString(raw)
			if err != nil {
				wrong = fmt.Errorf("the name of a file is no string: %w", event.ErrPermanent)
				return true
			}
			names = append(names, name)
		case string(raw) != "null":
			wrong = fmt.Errorf("path %s of the session's data leads to something that is no string: %w", f.Path, event.ErrPermanent)
		}
		return true
	}
	for value := range f.path.In(data) {
		if value[0] != '[' {
			if !add(value) {
				return names, wrong
			}
			continue
		}
		for element := range document.Elements(value) {
			if !add(element) {
				return names, wrong
			}
		}
	}
	return names, wrong
}

// Interface guards.
var (
	_ caddy.Provisioner = (*RemoveFiles)(nil)
	_ app.Listener      = (*RemoveFiles)(nil)
)
