package storetest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Sweep implements store.Sweeper.
func (m *Memory) Sweep(ctx context.Context, now time.Time, n int, listeners func(manager string) []string) (ended int, more bool, err error) {
	leave, err := m.enter(ctx, "sweep", store.Key{})
	if err != nil {
		return 0, false, err
	}
	var dead []store.Key
	for key, rec := range m.records {
		if !rec.Alive(now) {
			dead = append(dead, key)
		}
	}
	slices.SortFunc(dead, func(a, b store.Key) int {
		x, y := m.records[a], m.records[b]
		return cmp.Or(x.Deadline().Compare(y.Deadline()), bytes.Compare(a.ID[:], b.ID[:]))
	})
	more = len(dead) > n
	var told []store.Ended
	for _, key := range dead[:min(n, len(dead))] {
		rec := m.records[key]
		told = append(told, m.end(key, store.End{Reason: rec.EndsBy(), Listeners: listeners(key.Manager)}))
	}
	leave()
	m.tell(told)
	return len(told), more, nil
}

// Page implements store.Pager.
func (m *Memory) Page(ctx context.Context, q store.Query) (page store.Page, err error) {
	leave, err := m.enter(ctx, "page", store.Key{Manager: q.Manager})
	if err != nil {
		return page, err
	}
	defer leave()
	q.Order = cmp.Or(q.Order, store.ByCreated)
	if q.Order != store.ByCreated && q.Order != store.ByExpires {
		return page, fmt.Errorf("there is no order %q", q.Order)
	}
	var all []store.Info
	for key := range m.records {
		if rec, err := m.live(key); err == nil && key.Manager == q.Manager && (q.Principal == "" || rec.Principal == q.Principal) {
			all = append(all, rec.Info(key.ID))
		}
	}
	slices.SortFunc(all, func(a, b store.Info) int { return cmp.Compare(place(a, q.Order), place(b, q.Order)) })
	first := 0
	if q.Cursor != "" {
		after, _, _ := strings.Cut(q.Cursor, ".")
		if cursor(q, after) != q.Cursor {
			return page, store.ErrBadCursor
		}
		for first < len(all) && place(all[first], q.Order) <= after {
			first++
		}
	}
	last := min(first+q.Limit, len(all))
	page.Sessions = all[first:last]
	if last < len(all) {
		page.Next = cursor(q, place(all[last-1], q.Order))
	}
	return page, nil
}

// cursor is a place with a checksum that binds it to its listing.
func cursor(q store.Query, place string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %s", q.Manager, q.Order, q.Principal, place))
	return fmt.Sprintf("%s.%x", place, sum[:8])
}

// place is where a session stands in an order: texts that compare as it does.
func place(info store.Info, order store.Order) string {
	at := math.MaxInt64 - info.Created.UnixMilli()
	if order == store.ByExpires {
		at = info.Expires.UnixMilli()
	}
	return fmt.Sprintf("%019d%x", at, info.ID[:])
}

// Counts implements store.Counter.
func (m *Memory) Counts(ctx context.Context) (all []store.Count, err error) {
	leave, err := m.enter(ctx, "counts", store.Key{})
	if err != nil {
		return nil, err
	}
	defer leave()
	counts := make(map[string]int64)
	for key := range m.records {
		counts[key.Manager]++
	}
	for manager, n := range counts {
		all = append(all, store.Count{Manager: manager, Sessions: n})
	}
	slices.SortFunc(all, func(a, b store.Count) int { return cmp.Compare(a.Manager, b.Manager) })
	return all, nil
}

// Backup implements store.Archiver.
func (m *Memory) Backup(ctx context.Context, w io.Writer) error {
	leave, err := m.enter(ctx, "backup", store.Key{})
	if err != nil {
		return err
	}
	defer leave()
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(archive{m.records, m.letters, m.filed}); err != nil {
		return err
	}
	sum := sha256.Sum256(b.Bytes())
	_, err = w.Write(append(b.Bytes(), sum[:]...))
	return err
}

// archive is what a backup of Memory holds, before its checksum.
type archive struct {
	Records map[store.Key]store.Record
	Letters []*store.Delivery
	Filed   int
}

// Restore implements store.Archiver.
func (m *Memory) Restore(ctx context.Context, r io.Reader, check store.CheckRecord) (int64, error) {
	leave, err := m.enter(ctx, "restore", store.Key{})
	if err != nil {
		return 0, err
	}
	defer leave()
	b, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	end := len(b) - sha256.Size
	if end < 0 || sha256.Sum256(b[:end]) != [sha256.Size]byte(b[end:]) {
		return 0, store.ErrBadBackup
	}
	var a archive
	if err := gob.NewDecoder(bytes.NewReader(b[:end])).Decode(&a); err != nil {
		return 0, fmt.Errorf("%w: %w", store.ErrBadBackup, err)
	}
	if len(m.records)+len(m.letters) > 0 {
		return 0, store.ErrNotEmpty
	}
	for key, rec := range a.Records {
		if check == nil {
			break
		}
		if err := check(key, &rec); err != nil {
			return 0, fmt.Errorf("%w: %s of manager %q: %w", store.ErrBadBackup, key.ID, key.Manager, err)
		}
	}
	m.records, m.letters, m.filed = a.Records, a.Letters, max(a.Filed, m.filed)
	if m.records == nil {
		m.records = make(map[store.Key]store.Record)
	}
	return int64(len(m.records)), nil
}
