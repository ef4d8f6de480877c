package jar

import "slices"

// maxUnknown is how many unknown names one request reports, and how long they may be.
const (
	maxUnknown     = 16
	maxUnknownName = 64
)

// Line is the one Cookie line for the app.
type Line struct {
	Value   string   // empty: no line
	Counts  Counts   // of what was removed
	Unknown []string // names that the app never set and no `pass` names; not all of them if they are many or long
}

// Line makes the app's line of the jar and of what the browser sends: the
// given jar's cookies that match, longer paths first and then older ones, and
// after them the readable ones in the browser that the app has set or that
// `pass` names. What else the browser sends is removed.
func (r *Rules) Line(given *Jar, req *Request, browser []string) Line {
	var l Line
	var order [maxCookies]uint8
	value := make([]byte, 0, 256)
	for _, i := range given.matching(req, order[:0]) {
		if c := &given.cookies[i]; !r.drop.names(c.name) { // it may have been taken before it was named
			value = appendPair(value, c.name, c.value)
		}
	}
	var room [16]string
	sent := room[:0]
	for p := range pairs(browser) {
		kind := r.screen(given, p)
		if kind == Given && slices.Contains(sent, p.name) {
			kind = RemovedExcess // browsers send the longest path first
		}
		if kind == Given {
			sent = append(sent, p.name)
			value = appendPair(value, p.name, p.value)
			continue
		}
		l.Counts[kind]++
		if kind == RemovedUnknown && len(l.Unknown) < maxUnknown && p.name != "" && len(p.name) <= maxUnknownName && !slices.Contains(l.Unknown, p.name) {
			l.Unknown = append(l.Unknown, p.name)
		}
	}
	l.Value = string(value)
	return l
}

// screen says what becomes of a cookie that the browser sends; Given if it
// goes to the app.
func (r *Rules) screen(given *Jar, p pair) Kind {
	if p.excess {
		return RemovedExcess
	}
	where, named := r.named(p.name)
	switch {
	case named && where == nowhere:
		return RemovedByRule
	case given.hasName(p.name):
		return RemovedJar
	case r.export || named && where == inBrowser:
		return Given
	case named || IsSessionName(p.name):
		return RemovedJar
	case given.hasNoted(p.name):
		return Given
	}
	return RemovedUnknown
}

// matching appends the numbers of the cookies that go with the request, in
// the order of the line.
func (j *Jar) matching(req *Request, order []uint8) []uint8 {
	if j == nil {
		return order
	}
	at := req.At.Unix()
	for i := range j.cookies {
		c := &j.cookies[i]
		if c.expired(at) || req.CrossSite && c.flags.sameSite() == sameSiteStrict || !req.matches(c.path) {
			continue
		}
		place := len(order)
		for place > 0 && len(j.cookies[order[place-1]].path) < len(c.path) {
			place--
		}
		order = slices.Insert(order, place, uint8(i))
	}
	return order
}
