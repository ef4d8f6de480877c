package jar

import (
	"slices"
	"time"
)

// Wishes are what a response wants done to the jar, and what the request was
// given, so that they can be applied to a jar that others have changed
// meanwhile. The zero value wishes nothing.
type Wishes struct {
	rules      *Rules
	unsafe     bool // see Request
	navigation bool
	cookies    []wish // one of a key
	notes      []note
}

// wish is that a cookie be set or deleted.
type wish struct {
	cookie  cookie // of one that is to be deleted, name and path alone count
	deletes bool
	given   givenCookie
}

// givenCookie is what the request was given of the cookie.
type givenCookie struct {
	present bool
	value   string
	created int64
}

// IsEmpty reports that nothing is wished.
func (w Wishes) IsEmpty() bool { return len(w.cookies)+len(w.notes) == 0 }

// Len returns how many cookies the jar is to keep, or to keep no more.
func (w Wishes) Len() int { return len(w.cookies) }

// sets reports whether a cookie is wished into the jar or noted.
func (w Wishes) sets() bool {
	return len(w.notes) > 0 || slices.ContainsFunc(w.cookies, func(c wish) bool { return !c.deletes })
}

// Deletions returns those of the wishes that delete what the request was given
// and put nothing of that name in its place; with all, they delete all that it was given.
func (w Wishes) Deletions(given *Jar, all bool) Wishes {
	kept := w
	kept.cookies, kept.notes = nil, nil
	if all && given != nil {
		for i := range given.cookies {
			c := &given.cookies[i]
			kept.cookies = append(kept.cookies, wish{cookie: *c, deletes: true, given: givenCookie{true, c.value, c.created}})
		}
		return kept
	}
	for i := range w.cookies {
		if d := &w.cookies[i]; d.deletes && d.given.present && !w.setsName(d.cookie.name) {
			kept.cookies = append(kept.cookies, *d)
		}
	}
	return kept
}

// setsName reports whether a cookie of that name is wished into the jar or noted.
func (w Wishes) setsName(name string) bool {
	return slices.ContainsFunc(w.cookies, func(c wish) bool { return !c.deletes && c.cookie.name == name }) ||
		slices.ContainsFunc(w.notes, func(n note) bool { return n.name == name })
}

// Then adds the wishes of a later attempt at the same request, which was shown
// given.With(w).
func (w Wishes) Then(later Wishes) Wishes {
	if w.IsEmpty() {
		return later
	}
	if later.IsEmpty() {
		return w
	}
	sum := w
	sum.cookies = slices.Clone(w.cookies)
	for _, l := range later.cookies {
		if i := indexOf(sum.cookies, l.cookie.name, l.cookie.path); i >= 0 {
			l.given = sum.cookies[i].given
			sum.cookies = slices.Delete(sum.cookies, i, i+1)
		}
		sum.cookies = append(sum.cookies, l)
	}
	sum.notes = slices.Clone(w.notes)
	for _, n := range later.notes {
		if !slices.ContainsFunc(sum.notes, n.is) {
			sum.notes = append(sum.notes, n)
		}
	}
	return sum
}

// indexOf returns the number of the wish about a key, or -1.
func indexOf(wishes []wish, name, path string) int {
	return slices.IndexFunc(wishes, func(w wish) bool { return w.cookie.name == name && w.cookie.path == path })
}

// is reports whether browsers take both for one cookie.
func (n note) is(other note) bool {
	return n.name == other.name && n.path == other.path && n.domain == other.domain
}

// With returns the jar as it is once the wishes are granted: what the next
// attempt at the same request is given.
func (j *Jar) With(w Wishes, at time.Time) *Jar {
	return Merge(j, w, Moment{At: at, Replaced: at}).Jar
}

// Begins reports whether a request without a session begins one, by what its
// response wishes. With BeginByNavigation a page does in any case; page says
// that the response is one. What another page embeds never begins a session:
// its late answer would replace the ticket of a login made meanwhile.
func (r *Rules) Begins(req *Request, w Wishes, page bool) bool {
	return !req.Embedded && (w.sets() || r.beginByNavigation && req.Navigation && page)
}
