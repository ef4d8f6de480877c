package badgerstore

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"
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
	return s.view(func(txn *badger.Txn) error {
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

// lostDelivery tells of a delivery or a notice that fails its checksum.
func (s *Store) lostDelivery(key []byte) {
	s.damaged.Add(1)
	s.log.Error(fmt.Sprintf("what a listener was to be told is damaged (%x) and is not delivered; a damaged disk is likely", key))
}
