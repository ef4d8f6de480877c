package badgerstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/sessionproxy/sessionproxy/store"
)

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
		h.Write(appendText(nil, t))
	}
	h.Write(place)
	return h.Sum(nil)[:cursorSumLen]
}
