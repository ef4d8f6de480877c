package badgerstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// Page implements store.Pager. It goes along an index and reads the records
// that stand in it, up to what is asked for. Those of one principal have no
// index by expiry: they are few, and are all read.
func (s *Store) Page(ctx context.Context, q store.Query) (page store.Page, err error) {
	if err := s.enter(ctx); err != nil {
		return page, err
	}
	defer s.leave()
	q.Order = cmp.Or(q.Order, store.ByCreated)
	after, begun, err := s.parseCursor(q)
	if err != nil {
		return page, fmt.Errorf("listing sessions of %s: %w", q.Manager, err)
	}
	n, ok := s.managers.number(q.Manager)
	if !ok || q.Limit < 1 {
		return page, nil
	}
	w := indexScan{s: s, ctx: ctx, q: q, n: n, now: s.opts.Now()}
	err = s.view(func(txn *badger.Txn) error {
		w.txn = txn
		return w.find(after, begun)
	})
	if err != nil {
		return page, fmt.Errorf("listing sessions of %s: %w", q.Manager, err)
	}
	page.Sessions = make([]store.Info, len(w.found))
	for i := range w.found {
		f := &w.found[i]
		page.Sessions[i] = f.rec.Info(f.id)
	}
	if w.more {
		page.Next = s.cursor(q, w.found[len(w.found)-1].place)
	}
	if q.Order == store.ByExpires { // use moves sessions, and they stand where they were
		slices.SortStableFunc(page.Sessions, func(a, b store.Info) int {
			return cmp.Or(a.Expires.Compare(b.Expires), bytes.Compare(a.ID[:], b.ID[:]))
		})
	}
	return page, nil
}

// indexScan goes along an index, as of one moment.
type indexScan struct {
	s      *Store
	ctx    context.Context
	txn    *badger.Txn
	q      store.Query
	n      number
	now    time.Time
	prefix []byte
	found  []listed
	more   bool // behind what was found
}

// find finds what is asked for; begun says that it is behind a place.
func (w *indexScan) find(after place, begun bool) error {
	switch {
	case w.q.Order == store.ByExpires && w.q.Principal != "":
		w.prefix = principalPrefix(w.q.Principal, w.n)
		if err := w.all(); err != nil {
			return err
		}
		w.cut(after, begun)
		return nil
	case w.q.Order == store.ByExpires:
		w.prefix = numberKey(nil, keyExpiry, w.n)
		if !begun { // before it there are only the remains of what was swept
			after = place{at: uint64(w.s.sweep.first(w.n))}
		}
	case w.q.Principal != "":
		w.prefix = principalPrefix(w.q.Principal, w.n)
	default:
		w.prefix = numberKey(nil, keyCreated, w.n)
	}
	return w.some(after, begun)
}

// some finds one page, behind a place or from it on.
func (w *indexScan) some(from place, behind bool) error {
	for {
		places := w.places(from, behind, w.q.Limit+1-len(w.found))
		if len(places) == 0 {
			return nil
		}
		if err := w.read(places); err != nil {
			return err
		}
		if len(w.found) > w.q.Limit {
			w.found, w.more = w.found[:w.q.Limit], true
			return nil
		}
		from, behind = places[len(places)-1], true
	}
}

// all finds everything, in order of where it is filed to expire.
func (w *indexScan) all() error {
	var from place
	for behind := false; ; behind = true {
		places := w.places(from, behind, pageSize)
		if len(places) == 0 {
			for i := range w.found {
				w.found[i].at = uint64(w.found[i].due)
			}
			slices.SortFunc(w.found, func(a, b listed) int { return a.compare(b.place) })
			return nil
		}
		if err := w.read(places); err != nil {
			return err
		}
		from = places[len(places)-1]
	}
}

// cut leaves of everything what is asked for.
func (w *indexScan) cut(after place, begun bool) {
	if begun {
		i, ok := slices.BinarySearchFunc(w.found, after, func(l listed, p place) int { return l.compare(p) })
		if ok {
			i++
		}
		w.found = w.found[i:]
	}
	if len(w.found) > w.q.Limit {
		w.found, w.more = w.found[:w.q.Limit], true
	}
}

// places returns the next n places in the index.
func (w *indexScan) places(from place, behind bool, n int) (places []place) {
	it := w.txn.NewIterator(badger.IteratorOptions{Prefix: w.prefix})
	defer it.Close()
	for it.Seek(from.append(slices.Clone(w.prefix))); it.Valid() && len(places) < n; it.Next() {
		if p := placeOf(it.Item().Key()); !behind || p != from {
			places = append(places, p)
		}
	}
	return places
}

// read adds the live sessions of those places.
func (w *indexScan) read(places []place) error {
	if err := w.s.interrupted(w.ctx); err != nil {
		return err
	}
	part := make([]listed, 0, len(places))
	for _, p := range places {
		key := store.Key{Manager: w.q.Manager, ID: p.id}
		e, err := w.s.recordIn(w.txn, w.n, key)
		if errors.Is(err, store.ErrGone) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
		part = append(part, listed{key, w.n, e, p})
	}
	if err := w.s.refreshAccess(part); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	for _, l := range part {
		if l.rec.Alive(w.now) && (w.q.Principal == "" || l.rec.Principal == w.q.Principal) {
			w.found = append(w.found, l)
		}
	}
	return nil
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.at, o.at), bytes.Compare(p.id[:], o.id[:]))
}

// errEnding says that the store is closed under a call that takes long.
var errEnding = fmt.Errorf("the session store is being closed: %w", store.ErrUnavailable)

// interrupted tells calls that take long whether they have to give up.
func (s *Store) interrupted(ctx context.Context) error {
	select {
	case <-s.ending:
		return errEnding
	default:
	}
	if err := s.broken(); err != nil { // it is closed after the last call has left
		return err
	}
	return ctx.Err()
}

// cursorSumLen is the length of what tells a cursor of ours from any other.
const cursorSumLen = 8

// cursor returns the text for what follows a place in a listing.
func (s *Store) cursor(q store.Query, p place) string {
	b := p.append(make([]byte, 0, placeLen+cursorSumLen))
	return base64.RawURLEncoding.EncodeToString(append(b, s.cursorSum(q, b)...))
}

// parseCursor reads what cursor wrote for the same listing of this store, and
// nothing else; begun is false if there is none.
func (s *Store) parseCursor(q store.Query) (p place, begun bool, err error) {
	if q.Order != store.ByCreated && q.Order != store.ByExpires {
		return p, false, fmt.Errorf("there is no order %q", q.Order)
	}
	if q.Cursor == "" {
		return p, false, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(b) != placeLen+cursorSumLen {
		return p, false, store.ErrBadCursor
	}
	p = placeOf(b[:placeLen])
	if !hmac.Equal([]byte(s.cursor(q, p)), []byte(q.Cursor)) {
		return place{}, false, store.ErrBadCursor
	}
	return p, true, nil
}

func (s *Store) cursorSum(q store.Query, place []byte) []byte {
	h := hmac.New(sha256.New, []byte(s.id))
	for _, t := range []string{q.Manager, string(q.Order), q.Principal} {
		h.Write(archive.AppendText(nil, t))
	}
	h.Write(place)
	return h.Sum(nil)[:cursorSumLen]
}
