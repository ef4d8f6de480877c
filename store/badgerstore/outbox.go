package badgerstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
)

// outbox is what waits for all listeners, in memory: what is due is found
// without going through the rest. It changes after the batch that changed the
// disk, so it never has what is not there.
type outbox struct {
	mu        sync.Mutex
	posts     map[uint64]*post    // protected by mu
	mailboxes map[number]*mailbox // protected by mu
	dead      []*letter           // of all listeners, in the order of filing; protected by mu

	next     uint64 // the next seq to be given; the writer's alone
	reserved uint64 // up to here, excluding, they may be given; the writer's alone
}

// reserveStep is how many seqs are reserved at a time. A seq is given once,
// whatever crashes: receivers tell deliveries apart by it.
const reserveStep = 1 << 14

func (s *Store) loadOutbox() error {
	o := &s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	o.posts, o.mailboxes, o.dead = make(map[uint64]*post), make(map[number]*mailbox), nil
	return s.db.View(func(txn *badger.Txn) error {
		given, err := readUint64(txn, []byte{keySequence})
		if err != nil {
			return err
		}
		o.next = max(o.next, given, 1)
		o.reserved = given
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{keyDelivery}, PrefetchValues: true, PrefetchSize: 256})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			key := it.Item().KeyCopy(nil)
			var a attempts
			err := it.Item().Value(func(b []byte) (err error) { a, err = decodeAttempts(key, b); return err })
			if err != nil {
				s.lostDelivery(key)
				continue
			}
			a.next = moment(believed(millis(a.next), s.opts.Now()))
			o.add(filing{number(key[1:5]), binary.BigEndian.Uint64(key[5:]), a})
		}
		return nil
	})
}

// filing is one delivery that was filed.
type filing struct {
	listener number
	seq      uint64
	attempts
}

// add takes a delivery in. Callers hold mu.
func (o *outbox) add(f filing) {
	p := o.posts[f.seq]
	if p == nil {
		p = &post{seq: f.seq, session: f.session, at: millis(f.at)}
		o.posts[f.seq] = p
	}
	m := o.mailboxes[f.listener]
	if m == nil {
		m = newMailbox(f.listener)
		o.mailboxes[f.listener] = m
	}
	l := &letter{post: p, box: m, tag: f.tag}
	p.letters = append(p.letters, l)
	o.put(l, millis(f.next), f.dead)
}

// put has a letter wait, or be dead. Callers hold mu.
func (o *outbox) put(l *letter, next int64, dead bool) {
	if l.next, l.dead = next, dead; !dead {
		l.box.add(l)
		return
	}
	i, _ := slices.BinarySearchFunc(o.dead, l, (*letter).compare)
	o.dead = slices.Insert(o.dead, i, l)
	l.box.dead++
}

// take takes a letter from where it is. Callers hold mu.
func (o *outbox) take(l *letter) {
	if !l.dead {
		l.box.remove(l)
		return
	}
	if i, ok := slices.BinarySearchFunc(o.dead, l, (*letter).compare); ok {
		o.dead = slices.Delete(o.dead, i, i+1)
	}
	l.box.dead--
}

// find returns the letter that an ID names, or nil.
func (o *outbox) find(id string) *letter {
	seq, tag, ok := parseDeliveryID(id)
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.posts[seq]; ok && p != nil {
		for _, l := range p.letters {
			if l.tag == tag {
				return l
			}
		}
	}
	return nil
}

// mailBatch is what a batch changes in the outbox.
type mailBatch struct {
	listeners map[string]number // new ones
	filed     []filing
	moved     []move
	gone      map[*letter]struct{}
	left      map[*post]int // letters that a post has, where they became fewer
	reserved  uint64
}

// move is what became of a letter that stays.
type move struct {
	letter *letter
	next   int64
	dead   bool
}

// wrote follows a committed batch.
func (o *outbox) wrote(b *mailBatch, names *names) {
	names.add(b.listeners)
	if b.reserved > 0 {
		o.reserved = b.reserved
	}
	if len(b.filed)+len(b.moved)+len(b.gone) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range b.filed {
		o.add(f)
	}
	for _, m := range b.moved {
		o.take(m.letter)
		o.put(m.letter, m.next, m.dead)
	}
	for l := range b.gone {
		o.take(l)
		p := l.post
		if p.letters = slices.DeleteFunc(p.letters, func(o *letter) bool { return o == l }); len(p.letters) == 0 {
			delete(o.posts, p.seq)
		}
	}
}

// file stages a notice and its deliveries.
func (b *batch) file(key store.Key, n store.Notice, reason store.Reason, rec *store.Record) error {
	if len(n.Listeners) == 0 {
		return nil
	}
	manager, err := b.number(key.Manager)
	if err != nil {
		return err
	}
	who, now := owner{manager, key.ID}, moment(b.s.opts.Now().UnixMilli())
	seq, err := b.sequence()
	if err != nil {
		return err
	}
	body := notice{kind: n.Kind, reason: reason, session: who, at: now, keys: n.Keys, size: len(rec.Data), rec: *rec}
	if n.Kind != store.NoticeEnded {
		body.rec.Data = nil
	}
	if err := b.letter(seq, &body, listenersOnce(n.Listeners)); err != nil {
		return err
	}
	b.staged++
	return nil
}

// letter stages a notice, and new deliveries of it.
func (b *batch) letter(seq uint64, body *notice, listeners []string) error {
	for _, name := range listeners {
		listener, err := b.listener(name)
		if err != nil {
			return err
		}
		f := filing{listener, seq, attempts{tag: randomUint64(), session: body.session, at: body.at}}
		if err := b.deliver(&f); err != nil {
			return err
		}
	}
	raw := noticeKey(seq)
	return b.set(raw, body.encode(raw), 0)
}

// deliver stages a delivery of a notice.
func (b *batch) deliver(f *filing) error {
	raw := deliveryKey(f.listener, f.seq)
	b.mail.filed = append(b.mail.filed, *f)
	return b.set(raw, f.encode(raw), 0)
}

// settle stages what became of a delivery.
func (b *batch) settle(l *letter, d *store.Settlement) error {
	if _, ok := b.mail.gone[l]; ok || l == nil {
		return nil
	}
	raw := deliveryKey(l.box.listener, l.post.seq)
	b.staged++
	if d.Delivered {
		put(&b.mail.gone, l, struct{}{})
		left, ok := b.mail.left[l.post]
		if !ok {
			left = len(l.post.letters) // only the writer changes it
		}
		put(&b.mail.left, l.post, left-1)
		if left == 1 {
			if err := b.remove(noticeKey(l.post.seq)); err != nil {
				return err
			}
		}
		return b.remove(raw)
	}
	a, err := readAttempts(b.txn, raw)
	if errors.Is(err, errDamaged) {
		a, err = attempts{tag: l.tag, session: l.post.session, at: moment(l.post.at)}, nil
	}
	if err != nil {
		return err
	}
	a.n++
	a.next, a.dead, a.failure = moment(millis(d.Next)), d.Dead, d.Error[:min(len(d.Error), store.MaxDeliveryError)]
	return b.again(l, raw, &a)
}

// again stages another state of a delivery.
func (b *batch) again(l *letter, raw []byte, a *attempts) error {
	b.mail.moved = append(b.mail.moved, move{l, millis(a.next), a.dead})
	return b.set(raw, a.encode(raw), 0)
}

func readAttempts(txn *badger.Txn, raw []byte) (a attempts, err error) {
	item, err := txn.Get(raw)
	if err != nil {
		return a, err
	}
	err = item.Value(func(b []byte) (err error) { a, err = decodeAttempts(raw, b); return err })
	return a, err
}

// sequence gives the next seq. As with names, one that was given is not given
// again, even if its batch fails.
func (b *batch) sequence() (uint64, error) {
	o := &b.s.outbox
	seq := o.next
	o.next++
	return seq, b.reserve(seq)
}

// reserve sees to it that a seq is not given after a crash.
func (b *batch) reserve(seq uint64) error {
	if seq < max(b.s.outbox.reserved, b.mail.reserved) {
		return nil
	}
	b.mail.reserved = seq + reserveStep
	return b.set([]byte{keySequence}, uint64Value(int64(b.mail.reserved)), 0)
}

// listener returns the listener's number, and stages a new one.
func (b *batch) listener(name string) (number, error) {
	if n, ok := b.s.listeners.number(name); ok {
		return n, nil
	}
	if n, ok := b.mail.listeners[name]; ok {
		return n, nil
	}
	n := b.s.listeners.next()
	put(&b.mail.listeners, name, n)
	return n, b.set(nameKey(keyListener, name), n[:], 0)
}

// listenersOnce leaves out repetitions: a listener is told once.
func listenersOnce(all []string) []string {
	once := make([]string, 0, len(all))
	for _, l := range all {
		if !slices.Contains(once, l) {
			once = append(once, l)
		}
	}
	return once
}

func randomUint64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return binary.BigEndian.Uint64(b[:])
}

// lostDelivery tells of a delivery or a notice that fails its checksum.
func (s *Store) lostDelivery(key []byte) {
	s.damaged.Add(1)
	s.log.Error(fmt.Sprintf("what a listener was to be told is damaged (%x) and is not delivered; a damaged disk is likely", key))
}
