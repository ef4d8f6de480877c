package jar

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// referenceSetCookie reads a Set-Cookie line by the steps of RFC 6265bis
// section 5.6, one after the other, and by nothing of the package: what it
// returns is compared with what the parser says.
func referenceSetCookie(line string, now time.Time) string {
	// 1. control characters
	if regexp.MustCompile(`[\x00-\x08\x0A-\x1F\x7F]`).MatchString(line) {
		return "refused"
	}
	// 2. to 5. the pair
	parts := strings.Split(line, ";")
	name, value := "", parts[0]
	if i := strings.Index(parts[0], "="); i != -1 {
		name, value = parts[0][:i], parts[0][i+1:]
	}
	name, value = referenceTrim(name), referenceTrim(value)
	if name+value == "" || len(name+value) > 8192 {
		return "refused"
	}
	// the attributes, each as it comes
	type attribute struct{ name, value string }
	var attributes []attribute
	for _, part := range parts[1:] {
		a := attribute{name: part}
		if name, value, found := strings.Cut(part, "="); found {
			a = attribute{name, value}
		}
		a = attribute{referenceLower(referenceTrim(a.name)), referenceTrim(a.value)}
		if len(a.value) <= 1024 {
			attributes = append(attributes, a)
		}
	}
	limit := now.Unix() + 400*86400
	cookie := map[string]string{"name": name, "value": value}
	for _, a := range attributes {
		switch a.name {
		case "path":
			if strings.HasPrefix(a.value, "/") {
				cookie["path"] = a.value
			} else {
				delete(cookie, "path")
			}
		case "domain":
			cookie["domain"] = a.value
		case "secure", "httponly", "partitioned":
			cookie[a.name] = "yes"
		case "samesite":
			cookie["samesite"] = ""
			if s := referenceLower(a.value); s == "strict" || s == "lax" || s == "none" {
				cookie["samesite"] = s
			}
		}
	}
	for _, a := range attributes {
		if a.name != "expires" {
			continue
		}
		if date, ok := referenceDate(a.value); ok {
			cookie["expires"] = strconv.FormatInt(max(1, min(date, limit)), 10)
		}
	}
	for _, a := range attributes { // after the dates: it prevails
		if a.name != "max-age" || !regexp.MustCompile(`^-?[0-9]+$`).MatchString(a.value) {
			continue
		}
		expires := limit
		if n, err := strconv.ParseInt(a.value, 10, 32); err == nil && n <= 400*86400 {
			expires = now.Unix() + n
			if n <= 0 {
				expires = 1
			}
		} else if a.value[0] == '-' {
			expires = 1
		}
		cookie["expires"] = strconv.FormatInt(max(1, expires), 10)
	}
	return referenceString(cookie)
}

func referenceString(c map[string]string) string {
	return fmt.Sprintf("%q=%q path %q domain %q expires %q flags %s %s %s samesite %q", c["name"], c["value"], c["path"],
		c["domain"], c["expires"], c["secure"], c["httponly"], c["partitioned"], c["samesite"])
}

// parsedString is what the parser makes of a line, in the same form.
func parsedString(line string, now time.Time) string {
	c, refused := parseSetCookie(line, now)
	if refused != Taken {
		return "refused"
	}
	m := map[string]string{"name": c.name, "value": c.value, "path": c.path, "domain": c.domain, "samesite": c.flags.sameSite().String()}
	if c.expires != 0 {
		m["expires"] = strconv.FormatInt(c.expires, 10)
	}
	for f, name := range map[flags]string{secure: "secure", httpOnly: "httponly", partitioned: "partitioned"} {
		if c.flags&f != 0 {
			m[name] = "yes"
		}
	}
	return referenceString(m)
}

func referenceTrim(s string) string {
	for strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\t") {
		s = s[1:]
	}
	for strings.HasSuffix(s, " ") || strings.HasSuffix(s, "\t") {
		s = s[:len(s)-1]
	}
	return s
}

func referenceLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}

var (
	referenceDelimiters = regexp.MustCompile(`[\x09\x20-\x2F\x3B-\x40\x5B-\x60\x7B-\x7E]+`)
	referenceTime       = regexp.MustCompile(`^([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9]|$)`)
	referenceDay        = regexp.MustCompile(`^([0-9]{1,2})(?:[^0-9]|$)`)
	referenceMonth      = regexp.MustCompile(`^(?i:(jan)|(feb)|(mar)|(apr)|(may)|(jun)|(jul)|(aug)|(sep)|(oct)|(nov)|(dec))`)
	referenceYear       = regexp.MustCompile(`^([0-9]{2,4})(?:[^0-9]|$)`)
)

// referenceDate is section 5.1.1.
func referenceDate(s string) (int64, bool) {
	var clock, day, month, year []string
	for _, token := range referenceDelimiters.Split(s, -1) {
		if m := referenceTime.FindStringSubmatch(token); clock == nil && m != nil {
			clock = m
		} else if m := referenceDay.FindStringSubmatch(token); day == nil && m != nil {
			day = m
		} else if m := referenceMonth.FindStringSubmatch(token); month == nil && m != nil {
			month = m
		} else if m := referenceYear.FindStringSubmatch(token); year == nil && m != nil {
			year = m
		}
	}
	if clock == nil || day == nil || month == nil || year == nil {
		return 0, false
	}
	y, _ := strconv.Atoi(year[1])
	if y <= 69 {
		y += 2000
	} else if y <= 99 {
		y += 1900
	}
	if y < 1601 {
		return 0, false
	}
	m := 1
	for month[m] == "" {
		m++
	}
	t, err := time.Parse("2006-1-2 15:4:5", fmt.Sprintf("%04d-%d-%s %s:%s:%s", y, m, referenceNumber(day[1]),
		referenceNumber(clock[1]), referenceNumber(clock[2]), referenceNumber(clock[3])))
	return t.Unix(), err == nil
}

// referenceNumber takes leading zeros away.
func referenceNumber(s string) string {
	n, _ := strconv.Atoi(s)
	return strconv.Itoa(n)
}

// seeds are lines to begin with.
var seeds = []string{
	"a=b", "a=b==; Path=/x; HttpOnly", "=b", "lonely", "brk[a]=1; Max-Age=10", "größe=ß; Domain=.example.org",
	`p={"a":1}; SameSite=Strict; Secure; Partitioned`, `q="a b"; Expires=Sun, 06 Nov 1994 08:49:37 GMT`,
	"a=1; Expires=Sunday, 06-Nov-94 08:49:37 GMT; Max-Age=-1", "a=1; expires=Sun Nov  6 08:49:37 2026; path=x",
	"a=\x00", "a = b ; ; = ; Max-Age = 00007", "a=1; Max-Age=99999999999", "a=1; Expires=29 feb 2027 0:0:0", "a=1; ſecure", "a= b",
	"a=1; Expires=001 1 jan 0099 1:2:3x 70", "a=1; Max-Age=-0; SameSite=lax; SAMESITE=odd",
}

func FuzzSetCookie(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if len(line) > maxCookieSize {
			return // longer lines may be refused before they are read
		}
		got, want := parsedString(line, noon), referenceSetCookie(line, noon)
		if got != want {
			t.Fatalf("%q\n got %s\nwant %s", line, got, want)
		}
		compareWithNetHTTP(t, line)
	})
}

// compareWithNetHTTP compares lines that net/http takes too: name and value,
// quotes aside, and the attributes in which both follow the RFC.
func compareWithNetHTTP(t *testing.T, line string) {
	t.Helper()
	theirs, err := http.ParseSetCookie(line)
	if err != nil || theirs.Unparsed != nil || strings.Count(line, "=") > 1 && strings.Contains(line, "\"") {
		return
	}
	ours, refused := parseSetCookie(line, noon)
	if refused != Taken {
		return // of control characters in attributes, or of a size; the reference says so too
	}
	value := ours.value
	if theirs.Quoted {
		value = strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
	}
	if ours.name != theirs.Name || trim(value) != trim(theirs.Value) || // which net/http does not trim

		ours.flags&secure != 0 != theirs.Secure || ours.flags&httpOnly != 0 != theirs.HttpOnly || ours.flags&partitioned != 0 != theirs.Partitioned {
		t.Fatalf("%q: %+v, net/http: %+v", line, ours, theirs)
	}
	if strings.HasPrefix(theirs.Path, "/") && ours.path != theirs.Path {
		t.Fatalf("%q: path %q, net/http: %q", line, ours.path, theirs.Path)
	}
	if theirs.MaxAge > 0 && theirs.MaxAge < maxAge && ours.expires != noon.Unix()+int64(theirs.MaxAge) {
		t.Fatalf("%q: expires %d, net/http: Max-Age %d", line, ours.expires, theirs.MaxAge)
	}
}
