package badgerstore

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// mailbox is what waits for one listener: numbers and times, the rest is on
// disk. For each session there is a queue; the queues stand in one of two
// heaps, so that neither those that wait for their next attempt nor those
// behind them are gone through again and again.
type mailbox struct {
	listener number
	queues   map[owner]*queue
	ready    queueHeap // by who was filed first
	deferred queueHeap // by when they are due
	waiting  int       // letters in all queues
	dead     int
	looked   int64 // when due was asked for last
}

func newMailbox(listener number) *mailbox {
	return &mailbox{
		listener: listener, queues: make(map[owner]*queue),
		ready:    queueHeap{before: func(a, b *letter) bool { return a.post.seq < b.post.seq }},
		deferred: queueHeap{before: func(a, b *letter) bool { return a.next < b.next }},
	}
}

// queue is what waits of one session, the first filed first. It is never empty.
type queue struct {
	letters []*letter
	heap    *queueHeap // where it stands
	index   int        // and there
}

// post is a notice, as far as its deliveries have to know it.
type post struct {
	seq     uint64
	session owner
	at      int64     // when it happened
	letters []*letter // those that are not delivered
}

// letter is a delivery.
type letter struct {
	post *post
	box  *mailbox
	tag  uint64
	next int64 // when it is tried again; zero is at once
	dead bool
}

func (l *letter) compare(o *letter) int {
	return cmp.Or(cmp.Compare(l.post.seq, o.post.seq), cmp.Compare(l.tag, o.tag))
}

// add has a letter wait.
func (m *mailbox) add(l *letter) {
	m.waiting++
	q := m.queues[l.post.session]
	if q == nil {
		q = &queue{index: -1}
		m.queues[l.post.session] = q
	}
	i := len(q.letters)
	for i > 0 && q.letters[i-1].compare(l) > 0 { // only one that was revived
		i--
	}
	q.letters = slices.Insert(q.letters, i, l)
	if i == 0 {
		m.place(q)
	}
}

// remove takes a letter out that waits.
func (m *mailbox) remove(l *letter) {
	m.waiting--
	q := m.queues[l.post.session]
	switch i, _ := slices.BinarySearchFunc(q.letters, l, (*letter).compare); {
	case len(q.letters) == 1:
		heap.Remove(q.heap, q.index)
		delete(m.queues, l.post.session)
	case i == 0:
		q.letters[0] = nil
		q.letters = q.letters[1:]
		m.place(q)
	default:
		q.letters = slices.Delete(q.letters, i, i+1)
	}
}

// place puts a queue where its new first letter has to stand. If that one is
// to be tried later, due will find it out.
func (m *mailbox) place(q *queue) {
	if q.index >= 0 {
		heap.Remove(q.heap, q.index)
	}
	m.move(q, &m.ready)
}

func (m *mailbox) move(q *queue, to *queueHeap) {
	q.heap = to
	heap.Push(to, q)
}

// believed returns when a letter is tried again that was put off to a time: at
// once, if it is further away than any is put off.
func believed(next int64, now time.Time) int64 {
	if next > now.Add(store.LongestPutOff).UnixMilli() {
		return 0
	}
	return next
}

// due returns the first n letters that are to be tried now, or else when
// there will be one.
func (m *mailbox) due(n int, now time.Time) (due []*letter, next time.Time) {
	if now.UnixMilli() < m.looked {
		for _, q := range m.deferred.queues {
			q.letters[0].next = believed(q.letters[0].next, now)
		}
		heap.Init(&m.deferred)
	}
	m.looked = now.UnixMilli()
	isLater := func(q *queue) bool { return q.letters[0].next > now.UnixMilli() }
	for len(m.deferred.queues) > 0 && !isLater(m.deferred.queues[0]) {
		m.move(heap.Pop(&m.deferred).(*queue), &m.ready)
	}
	taken := make([]*queue, 0, min(n, len(m.ready.queues)))
	for len(taken) < n && len(m.ready.queues) > 0 {
		q := heap.Pop(&m.ready).(*queue)
		if isLater(q) {
			m.move(q, &m.deferred)
			continue
		}
		taken, due = append(taken, q), append(due, q.letters[0])
	}
	for _, q := range taken {
		m.move(q, &m.ready)
	}
	if len(due) == 0 && len(m.deferred.queues) > 0 {
		next = moment(m.deferred.queues[0].letters[0].next)
	}
	return due, next
}

// oldest returns when the first letter happened that waits, or zero.
func (m *mailbox) oldest() (at int64) {
	var first *letter
	for _, h := range []*queueHeap{&m.ready, &m.deferred} {
		for _, q := range h.queues {
			if l := q.letters[0]; first == nil || l.compare(first) < 0 {
				first, at = l, l.post.at
			}
		}
	}
	return at
}

// queueHeap is a heap.Interface of queues that know where they stand.
type queueHeap struct {
	queues []*queue
	before func(a, b *letter) bool
}

func (h *queueHeap) Len() int { return len(h.queues) }

func (h *queueHeap) Less(i, j int) bool {
	return h.before(h.queues[i].letters[0], h.queues[j].letters[0])
}

func (h *queueHeap) Swap(i, j int) {
	h.queues[i], h.queues[j] = h.queues[j], h.queues[i]
	h.queues[i].index, h.queues[j].index = i, j
}

func (h *queueHeap) Push(x any) {
	q := x.(*queue)
	q.index = len(h.queues)
	h.queues = append(h.queues, q)
}

func (h *queueHeap) Pop() any {
	last := len(h.queues) - 1
	q := h.queues[last]
	h.queues[last], h.queues = nil, h.queues[:last]
	q.index = -1
	return q
}
