package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/internal/keytext"
	"github.com/sessionproxy/sessionproxy/store/badgerstore"
)

func init() {
	caddy.RegisterModule(new(Store))
}

// Store keeps sessions in an embedded database on the local disk. One
// process at a time can have its directory.
type Store struct {
	// Dir is the directory of the database; it is created when missing.
	// Placeholders are resolved when the configuration loads. Default: the
	// folder `sessions` in Caddy's data directory.
	Dir string `json:"dir,omitempty"`

	// Durability says what an acknowledged write survives. `sync` (the
	// default): everything, a power cut included. `async` is faster: a crash
	// of the process takes nothing, a power cut may take the last half
	// second.
	Durability string `json:"durability,omitempty"`

	// EncryptionKey encrypts the files: 16, 24 or 32 bytes, written as hex or
	// base64. Placeholders are resolved when the configuration loads, and
	// stay placeholders in what the admin API shows. A database that was
	// begun without a key cannot be encrypted later. Default: none.
	EncryptionKey string `json:"encryption_key,omitempty"`

	// Compression of the files: `none` (the default), or `zstd`, which takes
	// less disk, and more time to read sessions that are in no memory. It can
	// be changed by a restart.
	Compression string `json:"compression,omitempty"`

	// Reserve is how much space stays free on the disk, in bytes: with less,
	// writes are refused and reads go on. Default: 256 MiB, or more if the
	// database needs more to work.
	Reserve int64 `json:"reserve,omitempty"`

	resolved badgerSettings
}

// badgerSettings are what a configuration comes to: comparable, and holding on
// to nothing of the module.
type badgerSettings struct {
	dir        string // canonical
	durability badgerstore.Durability
	key        string // the bytes themselves
	compress   bool
	reserve    int64
}

// CaddyModule returns the Caddy module information.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: runtime.StoreNamespace + ".badger", New: func() caddy.Module { return new(Store) }}
}

// Provision sets the defaults and resolves placeholders. It touches no file of
// the database.
func (b *Store) Provision(caddy.Context) error {
	repl := caddy.NewReplacer()
	dir, err := repl.ReplaceOrErr(b.Dir, true, true)
	if err != nil {
		return fmt.Errorf("resolving the session store's directory: %w", err)
	}
	if dir == "" {
		dir = filepath.Join(caddy.AppDataDir(), "sessions")
	}
	if b.resolved.dir, err = CanonicalDir(dir); err != nil {
		return fmt.Errorf("resolving the session store's directory: %w", err)
	}
	if b.resolved.durability, err = badgerDurability(b.Durability); err != nil {
		return err
	}
	if b.resolved.compress, err = badgerCompression(b.Compression); err != nil {
		return err
	}
	if b.Reserve < 0 {
		return fmt.Errorf("reserve of the session store must not be negative, and is %d", b.Reserve)
	}
	b.resolved.reserve = b.Reserve
	key, err := repl.ReplaceOrErr(b.EncryptionKey, true, true)
	if err != nil {
		return fmt.Errorf("resolving the session store's encryption_key: %w", err)
	}
	b.resolved.key, err = DecodeKey(key)
	if err != nil {
		return fmt.Errorf("reading the session store's encryption_key: %w", err)
	}
	return nil
}

func badgerDurability(word string) (badgerstore.Durability, error) {
	switch word {
	case "", "sync":
		return badgerstore.Sync, nil
	case "async":
		return badgerstore.Async, nil
	}
	return 0, fmt.Errorf("durability of the session store is sync or async, not %q", word)
}

func badgerCompression(word string) (compress bool, err error) {
	switch word {
	case "", "none":
		return false, nil
	case "zstd":
		return true, nil
	}
	return false, fmt.Errorf("compression of the session store is none or zstd, not %q", word)
}

// PoolKey is the engine and the canonical directory.
func (b *Store) PoolKey() string { return "badger:" + b.resolved.dir }

// Open opens the database.
func (b *Store) Open(logger *zap.Logger) (runtime.OpenStore, error) {
	s := b.resolved
	return badgerstore.Open(badgerstore.Options{
		Dir: s.dir, Durability: s.durability, EncryptionKey: []byte(s.key), Compress: s.compress, Reserve: s.reserve,
		Logger: logger,
	})
}

// CompatibleWith refuses to change the options of an open database.
func (b *Store) CompatibleWith(other runtime.StoreProvider) error {
	o, ok := other.(*Store)
	if !ok {
		return fmt.Errorf("the session store in %s was opened by another module; restart the server to change it", b.resolved.dir)
	}
	var option string
	switch was, is := o.resolved, b.resolved; {
	case was.durability != is.durability:
		option = "durability"
	case was.key != is.key:
		option = "encryption_key"
	case was.compress != is.compress:
		option = "compression"
	case was.reserve != is.reserve:
		option = "reserve"
	default:
		return nil
	}
	return fmt.Errorf("changing %s of the session store in %s is impossible while it is open; restart the server instead of reloading", option, b.resolved.dir)
}

// DecodeKey reads an encryption key of 16, 24 or 32 bytes as hex or base64;
// empty is no key. The error never repeats the text.
func DecodeKey(text string) (string, error) {
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	key, err := keytext.Decode(text, 16, 24, 32)
	return string(key), err
}

// CanonicalDir returns the absolute path of dir without symbolic links, also
// when its last parts do not exist yet: every spelling of a directory must
// lead to the one database that is open in it.
func CanonicalDir(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	missing := ""
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(real, missing), nil
		}
		// A process that only validates may lack the permission to look inside.
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return "", err
		}
		missing = filepath.Join(filepath.Base(path), missing)
		path = filepath.Dir(path)
	}
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Store)(nil)
	_ runtime.StoreProvider = (*Store)(nil)
)
