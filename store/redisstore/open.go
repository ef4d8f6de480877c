package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionproxy/sessionproxy/store"
)

const (
	retryListening = time.Second
	// layout is that of the keys, of which a newer version may have another one.
	layout = "1"
)

// Open connects to the server, and refuses one that cannot keep sessions.
func Open(ctx context.Context, o Options) (*Store, error) { //nolint:contextcheck // what runs in the background ends with Close
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("opening session store: %w", err)
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{o.Address}, Username: o.Username, Password: o.Password, TLSConfig: o.TLS, SelectDB: o.Database,
		ClientName: "sessionproxy", ForceSingleClient: true, DisableCache: true,
		ConnWriteTimeout: o.Timeout, Dialer: net.Dialer{Timeout: o.Timeout},
	})
	if err != nil {
		return nil, fmt.Errorf("opening session store on redis %s: %w", o.Address, err)
	}
	s := &Store{Options: o, client: client}
	s.claims.holder = decimal(store.NewHolder())
	within, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := s.examine(within); err != nil {
		client.Close()
		return nil, fmt.Errorf("opening session store on redis %s: %w", o.Address, err)
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.ended.Go(func() { s.keepFlushing(background) })
	s.ended.Go(func() { s.keepListening(background) })
	s.ended.Go(func() { s.keepClaims(background) })
	return s, nil
}

// examine refuses a server that is not fit.
func (s *Store) examine(ctx context.Context) error {
	text, err := s.client.Do(ctx, s.client.B().Info().Build()).ToString()
	if err != nil {
		return fmt.Errorf("asking for INFO: %w", err)
	}
	if err := fit(text); err != nil {
		return err
	}
	b := s.client.B()
	if err := s.client.Do(ctx, b.Hsetnx().Key(s.metaKey()).Field("layout").Value(layout).Build()).Error(); err != nil {
		return fmt.Errorf("writing %s: %w", s.metaKey(), err)
	}
	has, err := s.client.Do(ctx, s.client.B().Hget().Key(s.metaKey()).Field("layout").Build()).ToString()
	if err == nil && has != layout {
		err = fmt.Errorf("the keys have the layout %q of another version, and this one reads %q", has, layout)
	}
	return err
}

// fit tells by the answer to INFO why a server cannot keep sessions.
func fit(info string) error {
	has := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			has[name] = value
		}
	}
	version, least := has["redis_version"], "7.0"
	if v, ok := has["valkey_version"]; ok {
		version, least = v, "7.2"
	}
	switch {
	case has["loading"] == "1":
		return errors.New("the server is loading its data: try again when it has")
	case !atLeast(version, least):
		return fmt.Errorf("the server has version %q, and %s is needed", version, least)
	case has["role"] != "master":
		return fmt.Errorf("the server is a %q: give the address of the master", has["role"])
	case has["maxmemory_policy"] != "noeviction":
		return fmt.Errorf("the server evicts keys when it is short of memory (maxmemory-policy %s), and would end sessions: set noeviction", has["maxmemory_policy"])
	}
	return nil
}

// atLeast compares major and minor numbers of versions.
func atLeast(version, least string) bool {
	numbers := func(v string) (n [2]int) {
		for i, part := range strings.SplitN(v, ".", 3) {
			if i < len(n) {
				n[i], _ = strconv.Atoi(part)
			}
		}
		return n
	}
	v, l := numbers(version), numbers(least)
	return v[0] > l[0] || v[0] == l[0] && v[1] >= l[1]
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
