package jar

import (
	"strings"
	"testing"
	"time"
)

// noon is when the tests' requests come.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func in(d time.Duration) int64 { return noon.Add(d).Unix() }

func TestSetCookieLinesAreRead(t *testing.T) {
	const day = 24 * time.Hour
	strict, lax, none := flags(0).withSameSite(sameSiteStrict), flags(0).withSameSite(sameSiteLax), flags(0).withSameSite(sameSiteNone)
	for line, want := range map[string]setCookie{
		// of frameworks
		"PHPSESSID=c4r5o1q2; path=/": {name: "PHPSESSID", value: "c4r5o1q2", path: "/"},
		"csrftoken=XyZ; expires=Sat, 27 Nov 2027 12:00:00 GMT; Max-Age=31449600; Path=/; SameSite=Lax":          {name: "csrftoken", value: "XyZ", path: "/", expires: in(364 * day), flags: lax},
		"sessionid=abc; expires=Sat, 12 Dec 2026 12:00:00 GMT; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax": {name: "sessionid", value: "abc", path: "/", expires: in(14 * day), flags: httpOnly | lax},
		"session=eyJ1IjoiYSJ9.Z0x.s-g_; HttpOnly; Path=/":                                                       {name: "session", value: "eyJ1IjoiYSJ9.Z0x.s-g_", path: "/", flags: httpOnly},
		"connect.sid=s%3Aabc.d%2Fe; Path=/; HttpOnly":                                                           {name: "connect.sid", value: "s%3Aabc.d%2Fe", path: "/", flags: httpOnly},
		"my_wiki_session=q1; path=/; HttpOnly; SameSite=Lax":                                                    {name: "my_wiki_session", value: "q1", path: "/", flags: httpOnly | lax},
		"my_wikiUserName=Alice; expires=Thu, 27-May-2027 12:00:00 GMT; Max-Age=15552000; path=/; HttpOnly":      {name: "my_wikiUserName", value: "Alice", path: "/", expires: in(180 * day), flags: httpOnly},
		`username-localhost-8888="2|1:0|10:17|23:username|44:YWxpY2U=|abc"; expires=Mon, 28 Dec 2026 12:00:00 GMT; HttpOnly; Path=/ju-a/`: {
			name: "username-localhost-8888", value: `"2|1:0|10:17|23:username|44:YWxpY2U=|abc"`, path: "/ju-a/", expires: in(30 * day), flags: httpOnly},
		"_xsrf=2|fb|0; Path=/ju-a/": {name: "_xsrf", value: "2|fb|0", path: "/ju-a/"},
		"_redmine_session=QmFoIQ%3D%3D--a1; path=/rm-a; secure; HttpOnly; SameSite=Lax": {name: "_redmine_session", value: "QmFoIQ%3D%3D--a1", path: "/rm-a", flags: secure | httpOnly | lax},
		"JSESSIONID=5F3A; Path=/ta; HttpOnly":                                           {name: "JSESSIONID", value: "5F3A", path: "/ta", flags: httpOnly},
		"a=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/":           {name: "a", value: "deleted", path: "/", expires: 1},
		"connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT":                   {name: "connect.sid", path: "/", expires: 1},
		// names and values that net/http refuses
		"brk[a]=1":                {name: "brk[a]", value: "1"},
		"we@ird=1":                {name: "we@ird", value: "1"},
		"größe=groß":              {name: "größe", value: "groß"},
		`prefs={"a":1,"b":[2]}`:   {name: "prefs", value: `{"a":1,"b":[2]}`},
		`a=b\c`:                   {name: "a", value: `b\c`},
		"a=b==":                   {name: "a", value: "b=="},
		"=b":                      {value: "b"},
		"lonely":                  {value: "lonely"},
		"a=":                      {name: "a"},
		"  a\t = b c\t ;Path=/x ": {name: "a", value: "b c", path: "/x"},
		`a="b c"`:                 {name: "a", value: `"b c"`},
		"a=b\tc":                  {name: "a", value: "b\tc"},
		// attributes
		"a=1; Path=/x; path=/y":                                  {name: "a", value: "1", path: "/y"},
		"a=1; Path=/x; path=y":                                   {name: "a", value: "1"},
		"a=1; Path=/x; Path":                                     {name: "a", value: "1"},
		"a=1; Domain=.Example.org":                               {name: "a", value: "1", domain: ".Example.org"},
		"a=1; Domain=x; Domain=":                                 {name: "a", value: "1"},
		"a=1; HTTPONLY=no; secure=; partitioned":                 {name: "a", value: "1", flags: httpOnly | secure | partitioned},
		"a=1; SameSite=Strict":                                   {name: "a", value: "1", flags: strict},
		"a=1; SameSite=Strict; SameSite=NONE":                    {name: "a", value: "1", flags: none},
		"a=1; SameSite=Lax; SameSite=odd":                        {name: "a", value: "1"},
		"a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT": {name: "a", value: "1", expires: in(time.Minute)},
		"a=1; Max-Age=60; Max-Age=120":                           {name: "a", value: "1", expires: in(2 * time.Minute)},
		"a=1; Max-Age=60; Max-Age=x":                             {name: "a", value: "1", expires: in(time.Minute)},
		"a=1; Max-Age=-5":                                        {name: "a", value: "1", expires: 1},
		"a=1; Max-Age=-":                                         {name: "a", value: "1"},
		"a=1; Max-Age=+5":                                        {name: "a", value: "1"},
		"a=1; Max-Age=99999999999999999999999":                   {name: "a", value: "1", expires: in(400 * day)},
		"a=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT":             {name: "a", value: "1", expires: in(400 * day)},
		"a=1; Expires=soon":                                      {name: "a", value: "1"},
		"a=1; ſecure":                                            {name: "a", value: "1"},
		"a=1; Path=/" + strings.Repeat("x", 1024):                {name: "a", value: "1"},
	} {
		if got, refused := parseSetCookie(line, noon); refused != Taken || got != want {
			t.Errorf("%q: %v, got  %+v\nwant %+v", line, refused, got, want)
		}
	}
}

func TestSetCookieLinesAreRefused(t *testing.T) {
	for line, want := range map[string]Kind{
		"": DroppedInvalid, "=": DroppedInvalid, " ; Path=/": DroppedInvalid,
		"a=b\x00": DroppedInvalid, "a=b\x7f": DroppedInvalid, "a\x1b=b": DroppedInvalid, "a=b; Path=/\x01": DroppedInvalid,
		"a=" + strings.Repeat("x", maxCookieSize-1): Taken,
		"a=" + strings.Repeat("x", maxCookieSize):   DroppedBySize,
		"a=" + strings.Repeat("x", 1<<20):           DroppedBySize,
		"a=b; x=" + strings.Repeat("x", 1<<20):      DroppedBySize,
	} {
		if _, got := parseSetCookie(line, noon); got != Taken && got != want || got == Taken && want != Taken {
			t.Errorf("%.40q: %v, want %v", line, got, want)
		}
	}
}

func TestDatesAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"Sun, 06 Nov 1994 08:49:37 GMT":  "1994-11-06T08:49:37Z", // IMF
		"Sunday, 06-Nov-94 08:49:37 GMT": "1994-11-06T08:49:37Z", // RFC 850
		"Sun Nov  6 08:49:37 1994":       "1994-11-06T08:49:37Z", // asctime
		"Mon, 01-Jan-2035 00:00:00 GMT":  "2035-01-01T00:00:00Z",
		"06 nov 69 8:9:7":                "2069-11-06T08:09:07Z",
		"06 nov 70 8:9:7":                "1970-11-06T08:09:07Z",
		"8:49:37 november 6th 1994":      "1994-11-06T08:49:37Z",
		"29 Feb 2028 00:00:00":           "2028-02-29T00:00:00Z",
		"29 Feb 2027 00:00:00":           "",
		"31 Apr 2027 00:00:00":           "",
		"1 Jan 1600 00:00:00":            "",
		"1 Jan 1601 00:00:00":            "1601-01-01T00:00:00Z",
		"1 Jan 2027 24:00:00":            "",
		"1 Jan 2027 00:60:00":            "",
		"1 Jan 2027 00:00:60":            "",
		"0 Jan 2027 00:00:00":            "",
		"1 Jan 2027":                     "",
		"1 2027 00:00:00":                "",
		"Jan 2027 00:00:00":              "", // 2027 is no day, and no year is left
		"1 Jan 00:00:00":                 "",
		"001 Jan 2027 00:00:00":          "", // 001 is a year, 2027 nothing
		"":                               "",
	} {
		got := ""
		if unix, ok := parseDate(text); ok {
			got = time.Unix(unix, 0).UTC().Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
