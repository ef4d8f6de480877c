package jar

import (
	"slices"
	"time"
)

// The rules by which a login is seen: a cookie that safe requests have changed
// more often is one that the app renews all the time, and a navigation does
// not replace a ticket that is younger.
const (
	maxChanges = 3
	ticketRest = 10 * time.Second
)

// Moment is when wishes are applied.
type Moment struct {
	At       time.Time
	Replaced time.Time // when the ticket was last replaced
}

// Merged is the jar that follows, and what was seen on the way.
type Merged struct {
	Jar      *Jar
	Changed  bool      // the jar has to be saved
	Login    bool      // the ticket is to be replaced, and Jar.WithPast(now, …) saved
	Emptied  bool      // the last cookie went
	Remember time.Time // see Rules.Remembered
	Counts   Counts    // of what was dropped as stale, or evicted
}

// Merge applies the wishes to the jar as it is stored now. Of each cookie
// three values are compared: what the request was given, what is there now,
// what is wished.
//
//   - Nothing has changed meanwhile: the wish is granted.
//   - What is there now is just what is wished: nothing happens.
//   - Another response has changed the cookie, and the wish is to keep what
//     was given, or to delete what was not given: dropped.
//   - Both have changed it: granted if the request is a navigation or unsafe,
//     or if no such request has ever changed what is there now. A cookie that
//     was deleted meanwhile counts as changed by one.
//
// What a form deletes goes from the past as well.
func Merge(now *Jar, w Wishes, m Moment) Merged {
	next := merger{moment: m, unix: m.At.Unix(), wishes: &w, merged: Merged{Jar: now}}
	if !w.IsEmpty() {
		next.run(now)
	}
	if w.rules != nil {
		next.merged.Remember = w.rules.Remembered(next.merged.Jar, m.At)
	}
	return next.merged
}

type merger struct {
	moment Moment
	unix   int64 // of the moment
	wishes *Wishes
	next   Jar  // as far as it has come
	owned  bool // next.cookies is no longer the former jar's
	merged Merged
}

func (m *merger) run(now *Jar) {
	if now != nil {
		m.next = *now
	}
	for i := range m.wishes.cookies {
		m.apply(&m.wishes.cookies[i])
	}
	m.addNotes()
	if m.wishes.unsafe && m.wishes.navigation {
		m.deleteFromPast()
	}
	if !m.merged.Changed {
		return
	}
	m.own()
	m.next.cookies = slices.DeleteFunc(m.next.cookies, func(c cookie) bool { return c.expired(m.unix) })
	m.evict()
	if _, shown := m.next.Past(m.moment.At); !shown {
		m.next.past, m.next.until = nil, 0
	}
	m.merged.Emptied = len(m.next.cookies) == 0 && now.Len(m.moment.At) > 0
	m.merged.Jar = nil
	if result := m.next; !result.isEmpty() {
		m.merged.Jar = &result
	}
}

// own makes the cookies a copy, before they are changed.
func (m *merger) own() {
	if !m.owned {
		m.next.cookies, m.owned = append(make([]cookie, 0, len(m.next.cookies)+len(m.wishes.cookies)), m.next.cookies...), true
	}
	m.merged.Changed = true
}

// deleteFromPast deletes from the past, too, what a form deletes: it may sign
// out, and late requests are not to be signed in after that.
func (m *merger) deleteFromPast() {
	past, ok := m.next.Past(m.moment.At)
	if !ok {
		return
	}
	if merged := Merge(past, m.wishes.Deletions(nil, false), Moment{At: m.moment.At}); merged.Changed {
		m.own()
		m.next.past = merged.Jar.alone()
	}
}

func (m *merger) apply(w *wish) {
	i := m.next.indexOf(w.cookie.name, w.cookie.path)
	if i >= 0 && m.next.cookies[i].expired(m.unix) && !w.given.present {
		i = -1 // to this request it had expired; to one that was given it, it has not
	}
	switch {
	case w.isSameAs(m.next.at(i)):
		m.grant(i, w)
	case i < 0 && w.deletes || i >= 0 && !w.deletes && m.next.cookies[i].value == w.cookie.value:
		// another response has done the same
	case w.keepsGiven() || !m.wishes.prevails() && m.isAhead(i, w):
		m.merged.Counts[DroppedStale]++
	default:
		m.grant(i, w)
	}
}

// prevails reports that the request is of the higher rank.
func (w *Wishes) prevails() bool { return w.unsafe || w.navigation }

// at returns the cookie of that number; nil for -1.
func (j *Jar) at(i int) *cookie {
	if i < 0 {
		return nil
	}
	return &j.cookies[i]
}

// isSameAs reports whether the cookie is still what the request was given.
func (w *wish) isSameAs(now *cookie) bool {
	if now == nil || !w.given.present {
		return now == nil && !w.given.present
	}
	return now.value == w.given.value
}

// keepsGiven reports that the response itself changes nothing: it repeats what
// the request was given, or deletes what it was not given.
func (w *wish) keepsGiven() bool {
	if w.deletes {
		return !w.given.present
	}
	return w.given.present && w.given.value == w.cookie.value
}

// isAhead reports that what is there now was changed by a request of the
// higher rank; a cookie that is no longer the one that was given, but gone or
// made anew, was deleted by one.
func (m *merger) isAhead(i int, w *wish) bool {
	if i < 0 {
		return true
	}
	now := &m.next.cookies[i]
	return now.flags&prevailed != 0 || w.given.present && w.given.created != now.created
}

// grant does what is wished to the cookie of that number, or to a new one.
func (m *merger) grant(i int, w *wish) {
	switch {
	case i < 0 && w.deletes:
	case w.deletes:
		m.own()
		m.next.cookies = slices.Delete(m.next.cookies, i, i+1)
	case i < 0:
		m.own()
		c := w.cookie
		c.created = max(0, m.moment.At.UnixMilli())
		c.flags &^= prevailed
		if m.wishes.prevails() {
			c.flags |= prevailed
		}
		if expired := m.next.indexOf(c.name, c.path); expired >= 0 {
			m.next.cookies = slices.Delete(m.next.cookies, expired, expired+1)
		}
		m.next.cookies = append(m.next.cookies, c)
		m.merged.Login = m.merged.Login || m.wishes.unsafe || m.wishes.navigation && !m.rests()
	case m.differs(&m.next.cookies[i], &w.cookie):
		m.own()
		m.replace(&m.next.cookies[i], w.cookie)
	}
}

// replace gives a cookie its new value, in its place.
func (m *merger) replace(now *cookie, c cookie) {
	c.created, c.changes = now.created, now.changes
	c.flags = c.flags&^prevailed | now.flags&prevailed
	if c.value != now.value {
		if m.wishes.prevails() {
			c.flags |= prevailed
		}
		rolling := now.changes > maxChanges || m.rests()
		m.merged.Login = m.merged.Login || m.wishes.unsafe || m.wishes.navigation && !rolling
		if !m.wishes.unsafe && c.changes <= maxChanges {
			c.changes++
		}
	}
	*now = c
}

// rests reports whether the ticket was replaced a short while ago.
func (m *merger) rests() bool { return m.moment.At.Sub(m.moment.Replaced) < ticketRest }

// differs reports whether the new cookie is worth a write.
func (m *merger) differs(now, c *cookie) bool { return now.differs(c) && now.differsAt(c, m.unix) }

// differs reports whether anything of the new cookie is other than it was.
func (c *cookie) differs(to *cookie) bool {
	return c.value != to.value || c.expires != to.expires || c.domain != to.domain || (c.flags^to.flags)&^prevailed != 0
}

// differsAt is differs, but for a later expiry that moves by a twentieth of
// what is left or less.
func (c *cookie) differsAt(to *cookie, unix int64) bool {
	if c.value != to.value || c.domain != to.domain || (c.flags^to.flags)&^prevailed != 0 || c.expires == 0 || to.expires <= c.expires {
		return true
	}
	return to.expires-c.expires > (c.expires-unix)/20
}

// addNotes adds what is not noted yet.
func (m *merger) addNotes() {
	own := false
	for _, n := range m.wishes.notes {
		if m.next.has(n) {
			continue
		}
		if !own {
			m.next.notes, own = slices.Clone(m.next.notes), true
		}
		m.next.notes = append(m.next.notes, n)
		m.merged.Changed = true
	}
}

func (j *Jar) has(n note) bool { return j != nil && slices.ContainsFunc(j.notes, n.is) }
