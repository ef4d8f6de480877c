package redisstore_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/internal/redistest"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/redisstore"
)

// open opens a store that the test closes.
func open(t *testing.T, o redisstore.Options) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // the server may be gone
	return s
}

// fresh opens a store with keys of its own on the shared server.
func fresh(t *testing.T) (*redisstore.Store, redisstore.Options) {
	t.Helper()
	o := redisstore.Options{Address: address(t), Prefix: prefix(t.TempDir())}
	return open(t, o), o
}

func keyOf(manager string, id byte) store.Key { return store.Key{Manager: manager, ID: store.ID{id}} }

func record(data string) store.Record {
	now := time.Now()
	return store.Record{
		Data: []byte(data), Created: now, Written: now, Accessed: now, Idle: 30 * time.Minute, Absolute: now.Add(12 * time.Hour),
		Incarnation: store.NewIncarnation(), Version: store.Version{}.Next(),
	}
}

func create(t *testing.T, s store.Store, key store.Key, data string) store.Record {
	t.Helper()
	rec := record(data)
	if err := s.Save(t.Context(), key, store.Write{Record: rec}, store.Create()); err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestRefused: a server that cannot keep sessions is refused when the store opens.
func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	address := address(t)
	newer := prefix(t.TempDir())
	c := admin(t, address)
	if err := c.Do(t.Context(), c.B().Hset().Key(newer+":{$}:meta").FieldValue().FieldValue("layout", "2").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	secret := redistest.New(t, "--requirepass", "right")
	for name, c := range map[string]struct {
		options redisstore.Options
		want    string
	}{
		"no address":           {redisstore.Options{}, "the address of the server is missing"},
		"a URL":                {redisstore.Options{Address: "redis://localhost:6379"}, "not host:port"},
		"no port":              {redisstore.Options{Address: "localhost"}, "not host:port"},
		"a bad prefix":         {redisstore.Options{Address: address, Prefix: "a{b}"}, "other characters"},
		"a username alone":     {redisstore.Options{Address: address, Username: "u"}, "without a password"},
		"nothing there":        {redisstore.Options{Address: dead}, "refused"},
		"a wrong password":     {redisstore.Options{Address: secret.Address, Password: "wrong"}, "WRONGPASS"},
		"no password":          {redisstore.Options{Address: secret.Address}, "NOAUTH"},
		"a database too many":  {redisstore.Options{Address: address, Database: 99}, "DB index"},
		"it evicts":            {redisstore.Options{Address: redistest.New(t, "--maxmemory-policy", "allkeys-lru").Address}, "set noeviction"},
		"a replica":            {redisstore.Options{Address: redistest.New(t, "--replicaof", "127.0.0.1 1").Address}, "the address of the master"},
		"keys of another form": {redisstore.Options{Address: address, Prefix: newer}, `layout "2"`},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := redisstore.Open(t.Context(), c.options)
			if err == nil {
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "wrong") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
	create(t, open(t, redisstore.Options{Address: secret.Address, Password: "right", Database: 3}), keyOf("shop", 1), "x")
}

// TestForgottenScripts: a server that knows no script is told it again.
func TestForgottenScripts(t *testing.T) {
	s, o := fresh(t)
	create(t, s, keyOf("shop", 1), "x")
	c := admin(t, o.Address)
	if err := c.Do(t.Context(), c.B().ScriptFlush().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if rec, err := s.Load(t.Context(), keyOf("shop", 1)); err != nil || string(rec.Data) != "x" {
		t.Fatalf("got %+v, %v", rec, err)
	}
	create(t, s, keyOf("shop", 2), "y")
}

// TestForeignKeys: what is not a record, or is one of a newer version, is
// answered as such, and changed by nothing.
func TestForeignKeys(t *testing.T) {
	s, o := fresh(t)
	c := admin(t, o.Address)
	do := func(args ...string) {
		t.Helper()
		if err := c.Do(t.Context(), c.B().Arbitrary(args...).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	id := store.ID{1}
	name := o.Prefix + ":{shop}:s:" + string(id[:])
	unavailable := func(t *testing.T) {
		t.Helper()
		if _, err := s.Load(t.Context(), keyOf("shop", 1)); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("loading: %v", err)
		}
	}
	t.Run("of another type", func(t *testing.T) {
		do("SET", name, "mine")
		unavailable(t)
		if err := s.Save(t.Context(), keyOf("shop", 1), store.Write{Record: record("x")}, store.Create()); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("saving: %v", err)
		}
		other := create(t, s, keyOf("shop", 2), "y")
		used := other.Accessed.Add(time.Minute)
		if err := s.Touch(t.Context(), store.Touch{Key: keyOf("shop", 1), Incarnation: 1, Accessed: used},
			store.Touch{Key: keyOf("shop", 2), Incarnation: other.Incarnation, Accessed: used}); err != nil {
			t.Fatalf("touching: %v", err)
		}
		if got, err := s.Load(t.Context(), keyOf("shop", 2)); err != nil || got.Accessed.UnixMilli() != used.UnixMilli() {
			t.Fatalf("got %v, %v", got.Accessed, err)
		}
		if got, err := c.Do(t.Context(), c.B().Get().Key(name).Build()).ToString(); got != "mine" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
		do("DEL", name)
	})
	t.Run("in place of an index", func(t *testing.T) {
		rec := create(t, s, keyOf("shop", 1), "x")
		for _, index := range []string{"x", "e", "c", "i", "p:alice"} {
			name := o.Prefix + ":{shop}:" + index
			do("ZADD", name, "0", "another one's") // so that it is there
			do("RENAME", name, name+"'")
			do("SET", name, "mine")
			n := rec
			n.Data, n.Principal, n.Version = []byte("y"), "alice", rec.Version.Next()
			if err := s.Save(t.Context(), keyOf("shop", 1), store.Write{Record: n}, store.IfVersion(rec.Version)); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("saving: %v", err)
			}
			if got, err := s.Load(t.Context(), keyOf("shop", 1)); err != nil || got.Version != rec.Version {
				t.Fatalf("a save that was refused has changed it: %+v, %v", got, err)
			}
			do("RENAME", name+"'", name)
		}
		if err := s.Delete(t.Context(), keyOf("shop", 1), store.Revoked); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("of a newer version", func(t *testing.T) {
		create(t, s, keyOf("shop", 1), "x")
		do("HSET", name, "m", "\x02and more")
		unavailable(t)
		if err := s.Delete(t.Context(), keyOf("shop", 1), store.Revoked); err != nil {
			t.Fatal(err)
		}
	})
}

// TestForgedNames: managers whose names would be those of others' keys.
func TestForgedNames(t *testing.T) {
	s, _ := fresh(t)
	names := []string{"", "$", "a", "a}:s:", "{a}", "~", "~YQ", "A", "a b", "ä", "\x00", "a\n", strings.Repeat("n", 300)}
	for _, name := range names {
		create(t, s, keyOf(name, 1), name)
	}
	for _, name := range names {
		if rec, err := s.Load(t.Context(), keyOf(name, 1)); err != nil || string(rec.Data) != name {
			t.Errorf("%q has %q, %v", name, rec.Data, err)
		}
	}
	counts, err := s.Counts(t.Context())
	if err != nil || len(counts) != len(names) {
		t.Fatalf("got %v, %v", counts, err)
	}
	for _, c := range counts {
		if c.Sessions != 1 {
			t.Errorf("%q has %d sessions", c.Manager, c.Sessions)
		}
	}
}

// TestStopped: while the server does not answer, each call is told so in its
// time, and a write that was sent has an unknown outcome; then all goes on.
func TestStopped(t *testing.T) {
	srv := redistest.New(t)
	s := open(t, redisstore.Options{Address: srv.Address, Timeout: 2 * time.Second})
	key := keyOf("shop", 1)
	rec := create(t, s, key, "x")
	if err := srv.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	next := rec
	next.Data, next.Version = []byte("y"), rec.Version.Next()
	err := s.Save(t.Context(), key, store.Write{Record: next}, store.IfVersion(rec.Version))
	if !errors.Is(err, store.ErrUnknown) {
		t.Errorf("saving: %v", err)
	}
	if _, err := s.Load(t.Context(), key); !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) {
		t.Errorf("loading: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Delete(ctx, keyOf("shop", 2), store.Revoked); err == nil {
		t.Error("a delete without an answer has succeeded")
	}
	if err := srv.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		return s.Save(t.Context(), key, store.Write{Record: next}, store.IfVersion(rec.Version))
	})
	if got, err := s.Load(t.Context(), key); err != nil || got.Version != next.Version {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// TestRestarted: a server that was killed, and begins anew with nothing, is used
// again without opening the store again.
func TestRestarted(t *testing.T) {
	srv := redistest.New(t)
	s := open(t, redisstore.Options{Address: srv.Address})
	create(t, s, keyOf("shop", 1), "x")
	srv.Kill()
	if _, err := s.Load(t.Context(), keyOf("shop", 1)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("loading: %v", err)
	}
	err := s.Save(t.Context(), keyOf("shop", 2), store.Write{Record: record("y")}, store.Create())
	if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) {
		t.Errorf("saving: %v", err)
	}
	if err := srv.Restart(); err != nil {
		t.Fatal(err)
	}
	rec := record("z")
	eventually(t, func() error {
		return s.Save(t.Context(), keyOf("shop", 3), store.Write{Record: rec}, store.Create())
	})
	if counts, err := s.Counts(t.Context()); err != nil || len(counts) != 1 || counts[0].Sessions != 1 {
		t.Fatalf("got %v, %v", counts, err)
	}
}

// eventually calls f until it succeeds.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
