package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

const (
	// keysFile is where Caddy's storage keeps the keys: one a line, newest first.
	keysFile = "sessionproxy/ticket_keys"
	// keysTimeout bounds the access to a storage that may be remote.
	keysTimeout = 30 * time.Second
)

// keySource gives the ring that signs and verifies tickets: from the
// configuration, or from Caddy's storage, where it is made if it is missing.
// The storage is asked at the first need and not before, since a configuration
// may be loaded only to be validated. Safe for concurrent use.
type keySource struct {
	storage certmagic.Storage
	logger  *zap.Logger
	ring    atomic.Pointer[ticket.Ring]
	made    atomic.Bool // the key is new: no ticket was signed with it before
	mu      sync.Mutex  // one request at a time asks the storage
}

// newKeySource resolves and checks the configured keys, if there are any. Its
// errors name a key by its place in the list.
func newKeySource(configured []string, storage certmagic.Storage, logger *zap.Logger) (*keySource, error) {
	s := &keySource{storage: storage, logger: logger}
	if len(configured) == 0 {
		return s, nil
	}
	repl := caddy.NewReplacer()
	keys := make([][]byte, 0, len(configured))
	for i, text := range configured {
		value, err := repl.ReplaceOrErr(text, true, true)
		if err != nil {
			return nil, fmt.Errorf("resolving ticket key %d: %w", i+1, err)
		}
		key, err := ticket.ParseKey(value)
		if err != nil {
			return nil, fmt.Errorf("reading ticket key %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	ring, err := ticket.NewRing(keys...)
	if err != nil {
		return nil, fmt.Errorf("making ticket key ring: %w", err)
	}
	s.ring.Store(ring)
	return s, nil
}

// Ring returns the key ring. A failure of the storage is not remembered.
func (s *keySource) Ring() (*ticket.Ring, error) {
	if ring := s.ring.Load(); ring != nil {
		return ring, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ring := s.ring.Load(); ring != nil {
		return ring, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
	defer cancel()
	ring, err := s.load(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		ring, err = s.create(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.ring.Store(ring)
	return ring, nil
}

func (s *keySource) load(ctx context.Context) (*ticket.Ring, error) {
	text, err := s.storage.Load(ctx, keysFile)
	if err != nil {
		return nil, fmt.Errorf("loading ticket keys from Caddy's storage: %w", err)
	}
	var keys [][]byte
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, err := ticket.ParseKey(line)
		if err != nil {
			return nil, fmt.Errorf("reading line %d of %s in Caddy's storage: %w; restore the file, or remove it and end all sessions", len(keys)+1, keysFile, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("reading %s in Caddy's storage: no key in it; restore the file, or remove it and end all sessions", keysFile)
	}
	ring, err := ticket.NewRing(keys...)
	if err != nil {
		return nil, fmt.Errorf("making ticket key ring from %s in Caddy's storage: %w", keysFile, err)
	}
	return ring, nil
}

// create makes the first key, under the storage's lock: of several instances
// on one storage the first one makes it, and the others read it.
func (s *keySource) create(ctx context.Context) (*ticket.Ring, error) {
	if err := s.storage.Lock(ctx, keysFile); err != nil {
		return nil, fmt.Errorf("locking ticket keys in Caddy's storage: %w", err)
	}
	defer func() {
		if err := s.storage.Unlock(context.WithoutCancel(ctx), keysFile); err != nil {
			s.logger.Error("unlocking ticket keys in the storage", zap.Error(err))
		}
	}()
	ring, err := s.load(ctx)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if err := s.storage.Store(ctx, keysFile, []byte(hex.EncodeToString(ticket.NewKey())+"\n")); err != nil {
		return nil, fmt.Errorf("keeping the new ticket key in Caddy's storage: %w", err)
	}
	s.made.Store(true)
	s.logger.Info("made the key that signs session tickets", zap.String("storage_key", keysFile))
	return s.load(ctx)
}
