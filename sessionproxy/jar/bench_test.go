package jar

import (
	"fmt"
	"testing"
)

// threeCookies is the jar of the benchmarks, as a MediaWiki fills it.
var threeCookies = []string{
	"my_wiki_session=a5m1l1vcjbm5j8kqg1m0hc8q7u4f5r5d; path=/; HttpOnly",
	"my_wikiUserID=1; expires=Thu, 27-May-2027 12:00:00 GMT; Max-Age=15552000; path=/; HttpOnly",
	"my_wikiUserName=Alice; expires=Thu, 27-May-2027 12:00:00 GMT; Max-Age=15552000; path=/; HttpOnly",
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parseSetCookie(threeCookies[1], noon)
	}
}

func BenchmarkDecode(b *testing.B) {
	index, secret := filled(b, newRules(b, Options{}), page("/"), threeCookies...).Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(index, secret); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	j := filled(b, newRules(b, Options{}), page("/"), threeCookies...)
	b.ReportAllocs()
	for b.Loop() {
		j.Encode()
	}
}

func BenchmarkLine(b *testing.B) {
	r := newRules(b, Options{Pass: []string{"prefs"}})
	req := page("/wiki/Main_Page")
	j := filled(b, r, req, threeCookies...)
	for name, browser := range map[string][]string{"jar": nil, "browser": {"prefs=1; _ga=GA1.1.2; csrf=3"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Line(j, req, browser)
			}
		})
	}
}

func BenchmarkSort(b *testing.B) {
	r, req := newRules(b, Options{}), page("/")
	j := filled(b, r, req, threeCookies...)
	b.ReportAllocs()
	for b.Loop() {
		r.Sort(j, req, threeCookies[:1])
	}
}

func BenchmarkMerge(b *testing.B) {
	r, req := newRules(b, Options{}), page("/")
	j := filled(b, r, req, threeCookies...)
	for name, line := range map[string]string{"repeated": threeCookies[0], "changed": "my_wiki_session=other; path=/; HttpOnly"} {
		w := r.Sort(j, req, []string{line}).Wishes
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Merge(j, w, Moment{At: noon})
			}
		})
	}
	many := make([]string, 128)
	for i := range many {
		many[i] = fmt.Sprintf("c%d=%d; HttpOnly", i, i)
	}
	full := filled(b, r, req, many...)
	w := r.Sort(full, req, []string{"c127=x; HttpOnly"}).Wishes
	b.Run("128", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Merge(full, w, Moment{At: noon})
		}
	})
}
