package badgerstore

import (
	"fmt"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
)

// Durability says what survives a power cut. A crash of the process, kill -9
// included, loses nothing with either.
type Durability int

const (
	// Sync has what was acknowledged on disk.
	Sync Durability = iota
	// Async may lose the last half second before a power cut.
	Async
)

// String returns the Caddyfile's word.
func (d Durability) String() string {
	if d == Async {
		return "async"
	}
	return "sync"
}

// Options say where and how a store keeps its data.
type Options struct {
	// Dir is made if it does not exist, for its owner alone. Required.
	Dir        string
	Durability Durability
	// EncryptionKey encrypts the files with AES: 16, 24 or 32 bytes, or
	// none. A store that was begun without cannot be given one later.
	EncryptionKey []byte
	// Compress has the files compressed, with Zstandard at its fastest: less
	// disk, for more time to read what is in no memory. It can be changed
	// from one opening to the next; old files follow as they are compacted.
	Compress bool
	// CacheBytes bounds the copy of hot records in memory; default 32 MiB.
	CacheBytes int64
	// Reserve is the free space in bytes below which writes are refused,
	// since Badger does not survive a full disk; default 256 MiB.
	Reserve int64

	Logger *zap.Logger      // default: none
	Now    func() time.Time // default: time.Now

	// CloseTimeout bounds how long Close takes, also when the engine cannot
	// write what it has in memory: its logs have it all. Default: 10s.
	CloseTimeout time.Duration

	// free tells the free space of the directory's file system in bytes, and
	// inodes how many files can be made, or less than 0 if it does not count.
	free, inodes func(dir string) (int64, error)
	// clock is the one by which the disk is looked at.
	clock func() time.Duration
	// after is the clock of pauses.
	after func(time.Duration) <-chan time.Time
	// staging comes before each change of a transaction, and may fail it.
	staging func(key []byte) error
	// backstop is how long after the absolute end the engine drops a record.
	backstop time.Duration
}

const (
	// memTableSize is a constant, not an option: a log that was written
	// with a larger one cannot be opened with a smaller one after a crash.
	memTableSize  = 16 << 20
	numMemTables  = 3
	blockCache    = 32 << 20 // of tables that are encrypted or compressed
	zstdLevel     = 1
	defaultCache  = 32 << 20
	leastReserve  = 256 << 20
	syncInterval  = 100 * time.Millisecond
	spaceInterval = 250 * time.Millisecond
	gcInterval    = 10 * time.Minute
	closeTimeout  = 10 * time.Second
)

func (o *Options) fill() error {
	if o.Dir == "" {
		return fmt.Errorf("opening session store: no directory is given")
	}
	switch len(o.EncryptionKey) {
	case 0, 16, 24, 32:
	default:
		return fmt.Errorf("opening session store: the encryption key has %d bytes, not 16, 24 or 32", len(o.EncryptionKey))
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	if o.Reserve == 0 {
		o.Reserve = max(leastReserve, 4*memTableSize*numMemTables)
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.backstop == 0 {
		o.backstop = backstop
	}
	if o.staging == nil {
		o.staging = func([]byte) error { return nil }
	}
	if o.after == nil {
		o.after = time.After
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = closeTimeout
	}
	return nil
}

// guard returns the guard of the directory's disk.
func (o *Options) guard() *disk.Guard {
	return disk.New(disk.Config{
		Dir: o.Dir, Reserve: o.Reserve, MemTableSize: memTableSize, Logger: o.Logger,
		Explain: explain, Free: o.free, Inodes: o.inodes, Clock: o.clock,
	})
}

// badger returns the engine's options; each differs from the default for a reason.
func (o *Options) badger(s *disk.Guard) badger.Options {
	b := badger.DefaultOptions(o.Dir).
		WithSyncWrites(o.Durability == Sync).
		WithLogger(engineLogger{o.Logger.Named("badger").Sugar(), s}).
		WithMemTableSize(memTableSize). // a session store needs no gigabytes
		WithNumMemtables(numMemTables). //
		WithBaseTableSize(8 << 20).     // fewer files
		WithValueThreshold(1 << 20).    // keeps every session out of the value log
		WithValueLogFileSize(64 << 20). // which is only a fixed cost then
		WithNumVersionsToKeep(1).       //
		WithDetectConflicts(false).     // the one writer checks versions itself
		WithNumCompactors(2).           //
		WithCompression(options.None).  // records are small, and reading is the hot path
		WithBlockCacheSize(0).          // hot records have their own copy
		WithIndexCacheSize(0).          //
		WithMetricsEnabled(false).      //
		WithChecksumVerificationMode(options.OnTableRead)
	// Without a cache of blocks a compressed or encrypted database panics,
	// and an encrypted one without one of indexes, too.
	if o.Compress {
		b = b.WithCompression(options.ZSTD).WithZSTDCompressionLevel(zstdLevel).WithBlockCacheSize(blockCache)
	}
	if len(o.EncryptionKey) > 0 {
		b = b.WithEncryptionKey(o.EncryptionKey).WithBlockCacheSize(blockCache).WithIndexCacheSize(blockCache)
	}
	return b
}

// What the engine logs is the only sign that it gives from its own goroutines,
// and its logger runs in them. Two lines are more than text to the store; the
// tests fail if a version of the engine does not write them.
const (
	// Comes before a compaction makes a table. If it cannot, the engine goes
	// on without that table and removes the old ones: what was in it is lost.
	beforeTable = "[%d] LOG Compact. Added "
	// Comes each second while a log cannot be made a table.
	flushFailed = "error flushing memtable to disk"
)

// engineLogger passes Badger's log on. Its informational chatter is debugging to us.
type engineLogger struct {
	log   *zap.SugaredLogger
	space *disk.Guard
}

func (l engineLogger) Errorf(format string, args ...any) {
	if strings.HasPrefix(format, flushFailed) {
		l.space.TableFailed()
	}
	l.log.Errorf(format, args...)
}

func (l engineLogger) Warningf(format string, args ...any) { l.log.Warnf(format, args...) }
func (l engineLogger) Infof(format string, args ...any)    { l.log.Debugf(format, args...) }

func (l engineLogger) Debugf(format string, args ...any) {
	l.log.Debugf(format, args...)
	if strings.HasPrefix(format, beforeTable) {
		l.space.AwaitTable()
	}
}
