package jar

import "time"

// cookieDate is what the tokens of a date say so far.
type cookieDate struct {
	hour, minute, second, day, month, year int
	hasTime, hasDay, hasMonth, hasYear     bool
}

// parseDate reads the date of Expires, RFC 6265bis section 5.1.1, as Unix
// seconds. It takes the three forms of HTTP, and most of what apps make of them.
func parseDate(s string) (unix int64, ok bool) {
	var d cookieDate
	for s != "" {
		end := 0
		for end < len(s) && !isDateDelimiter(s[end]) {
			end++
		}
		d.read(s[:end])
		s = s[min(end+1, len(s)):]
	}
	if !d.hasTime || !d.hasDay || !d.hasMonth || !d.hasYear {
		return 0, false
	}
	switch {
	case 70 <= d.year && d.year <= 99:
		d.year += 1900
	case d.year <= 69:
		d.year += 2000
	}
	if d.day < 1 || d.day > 31 || d.year < 1601 || d.hour > 23 || d.minute > 59 || d.second > 59 {
		return 0, false
	}
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, 0, time.UTC)
	return t.Unix(), t.Day() == d.day // else there is no such day in that month
}

// read takes the token for the first part of the date that it fits and that
// is still missing.
func (d *cookieDate) read(token string) {
	if token == "" {
		return
	}
	if !d.hasTime && d.readTime(token) {
		return
	}
	if !d.hasDay {
		if day, _, ok := leadingNumber(token, 1, 2); ok {
			d.day, d.hasDay = day, true
			return
		}
	}
	if !d.hasMonth {
		if month := monthOf(token); month > 0 {
			d.month, d.hasMonth = month, true
			return
		}
	}
	if !d.hasYear {
		if year, _, ok := leadingNumber(token, 2, 4); ok {
			d.year, d.hasYear = year, true
		}
	}
}

func (d *cookieDate) readTime(token string) bool {
	hour, rest, ok := leadingNumber(token, 1, 2)
	if !ok || rest == "" || rest[0] != ':' {
		return false
	}
	minute, rest, ok := leadingNumber(rest[1:], 1, 2)
	if !ok || rest == "" || rest[0] != ':' {
		return false
	}
	second, _, ok := leadingNumber(rest[1:], 1, 2)
	if !ok {
		return false
	}
	d.hour, d.minute, d.second, d.hasTime = hour, minute, second, true
	return true
}

// leadingNumber reads a number of so many digits, after which none follows.
func leadingNumber(s string, least, most int) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		if i == most {
			return 0, s, false
		}
		n = n*10 + int(s[i]-'0')
		i++
	}
	return n, s[i:], i >= least
}

// monthOf returns the month that the token begins with, or 0.
func monthOf(token string) int {
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	if len(token) < 3 {
		return 0
	}
	for i := 0; i < len(months); i += 3 {
		if equalFold(token[:3], months[i:i+3]) {
			return i/3 + 1
		}
	}
	return 0
}

func isDateDelimiter(c byte) bool {
	return c == '\t' || ' ' <= c && c <= '/' || ';' <= c && c <= '@' || '[' <= c && c <= '`' || '{' <= c && c <= '~'
}
