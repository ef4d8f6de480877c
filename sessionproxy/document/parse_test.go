package document

import (
	"errors"
	"strings"
	"testing"
)

func TestParseCompacts(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"white space", " {\t\"a\" : [ 1 ,\n2 ] , \"b\":{ } }\r\n", `{"a":[1,2],"b":{}}`},
		{"one spelling for a string", `{"\u0041\/\u000a\u00e9":"é😀\ud83d\ude00"}`, `{"A/\n\u00e9":"\u00e9\ud83d\ude00\ud83d\ude00"}`},
		{"controls and DEL", "{\"a\":\"\x7f\\u0000\"}", `{"a":"\u007f\u0000"}`},
		{"numbers keep their text", `{"a":[1.0,-0,1E2,1e-999,12345678901234567890]}`, `{"a":[1.0,-0,1E2,1e-999,12345678901234567890]}`},
		{"literals", `{"a":[true,false,null]}`, `{"a":[true,false,null]}`},
		{"deep enough", strings.Repeat(`{"a":`, 31) + `{}` + strings.Repeat(`}`, 31), strings.Repeat(`{"a":`, 31) + `{}` + strings.Repeat(`}`, 31)},
		{"reserved only at the top", `{"a":{"$b":1}}`, `{"a":{"$b":1}}`},
		{"one name in two objects", `{"a":{"a":1},"b":[{"a":1},{"a":1}]}`, `{"a":{"a":1},"b":[{"a":1},{"a":1}]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse([]byte(tc.in), 0)
			if err != nil || string(got) != tc.want {
				t.Fatalf("got %s, %v", got, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     error
	}{
		{"nothing", ``, ErrMalformed},
		{"no object", `[]`, ErrMalformed},
		{"two", `{}{}`, ErrMalformed},
		{"unfinished", `{"a":1`, ErrMalformed},
		{"unfinished string", `{"a":"`, ErrMalformed},
		{"unfinished escape", `{"a":"\`, ErrMalformed},
		{"unfinished unicode escape", `{"a":"\u12`, ErrMalformed},
		{"trailing comma", `{"a":1,}`, ErrMalformed},
		{"trailing comma in an array", `{"a":[1,]}`, ErrMalformed},
		{"name without quotes", `{a:1}`, ErrMalformed},
		{"no colon", `{"a" 1}`, ErrMalformed},
		{"duplicate names", `{"a":1,"a":1}`, ErrMalformed},
		{"duplicate names, spelt differently", `{"a":1,"\u0061":1}`, ErrMalformed},
		{"duplicate names, inside", `{"x":[{"a":1,"b":2,"a":3}]}`, ErrMalformed},
		{"a lone high surrogate", `{"a":"\ud800"}`, ErrMalformed},
		{"a lone low surrogate", `{"a":"\udc00"}`, ErrMalformed},
		{"two high surrogates", `{"a":"\ud800\ud800"}`, ErrMalformed},
		{"a surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", ErrMalformed},
		{"not UTF-8", "{\"a\":\"\xff\"}", ErrMalformed},
		{"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", ErrMalformed},
		{"a newline", "{\"a\":\"\n\"}", ErrMalformed},
		{"NUL", "{\"a\":\x00}", ErrMalformed},
		{"an unknown escape", `{"a":"\x"}`, ErrMalformed},
		{"NaN", `{"a":NaN}`, ErrMalformed},
		{"infinity", `{"a":-Infinity}`, ErrMalformed},
		{"not finite", `{"a":1E400}`, ErrMalformed},
		{"not finite without exponent", `{"a":` + strings.Repeat("9", 400) + `}`, ErrMalformed},
		{"leading zero", `{"a":01}`, ErrMalformed},
		{"plus", `{"a":+1}`, ErrMalformed},
		{"a bare point", `{"a":1.}`, ErrMalformed},
		{"a bare exponent", `{"a":1e}`, ErrMalformed},
		{"only a minus", `{"a":-}`, ErrMalformed},
		{"too deep", strings.Repeat(`{"a":`, 32) + `{}` + strings.Repeat(`}`, 32), ErrMalformed},
		{"very deep", strings.Repeat(`[`, 1_000_000), ErrMalformed},
		{"very deep objects", strings.Repeat(`{"a":`, 1_000_000), ErrMalformed},
		{"reserved", `{"$a":1}`, ErrReserved},
		{"reserved, escaped", `{"\u0024a":1}`, ErrReserved},
		{"too large", `{"a":"` + strings.Repeat("x", 500) + `"}`, ErrTooLarge},
		{"too large once escaped", `{"a":"` + strings.Repeat("é", 100) + `"}`, ErrTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse([]byte(tc.in), 500)
			if !errors.Is(err, tc.want) || got != nil {
				t.Fatalf("got %s, %v", got, err)
			}
			if strings.Contains(err.Error(), "xxx") {
				t.Fatalf("the error repeats data: %v", err)
			}
		})
	}
}

// A megabyte of names must not cost the square of their number. With
// comparisons in pairs this test would run for many minutes.
func TestManyNames(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"first":0`)
	for i := range 100_000 {
		b.WriteString(`,"k`)
		for n := i; n > 0; n /= 10 {
			b.WriteByte(byte('0' + n%10))
		}
		b.WriteString(`x":1`)
	}
	doc, err := Parse([]byte(b.String()+`}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseMergePatch(doc, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Apply([]byte(`{}`)); len(got) != len(doc) {
		t.Fatalf("%d bytes, want %d", len(got), len(doc))
	}
	if !Diff(doc, doc[:len(doc):len(doc)]).Empty() || p.Overlaps(p) {
		t.Fatal("equal documents differ")
	}
	if _, err := Parse([]byte(b.String()+`,"first":1}`), 0); !errors.Is(err, ErrMalformed) {
		t.Fatalf("a duplicate far away: %v", err)
	}
}

func TestParseString(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`"alice"`, "alice"}, {` "Zo\u00eb\n\"\\\/" `, "Zoë\n\"\\/"}, {`"😀\ud83d\ude00"`, "😀😀"}, {`""`, ""},
	} {
		if got, err := ParseString([]byte(tc.in)); err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v", tc.in, got, err)
		}
	}
	for _, in := range []string{``, `null`, `"a" "b"`, `"a`, `a`, "\"\xff\""} {
		if got, err := ParseString([]byte(in)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
	}
}

func TestValues(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string
		want  string // joined by |
		bad   bool
	}{
		{"one", []string{`{"a":1}`}, `{"a":1}`, false},
		{"two in a line", []string{`{"a":1}, {"b":[1,2]}`}, `{"a":1}|{"b":[1,2]}`, false},
		{"two lines", []string{`{"a":1}`, ` "x" `}, `{"a":1}|"x"`, false},
		{"comma and brace in a string", []string{`{"a":"},{\""},null`}, `{"a":"},{\""}|null`, false},
		{"empty elements", []string{`, ,{},`, ``}, `{}`, false},
		{"nothing", []string{``}, ``, false},
		{"unfinished", []string{`{"a":1`, `}`}, ``, true},
		{"unfinished string", []string{`"a, b`}, ``, true},
		{"one bracket too many", []string{`{}}`}, ``, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := SplitList(tc.lines)
			var texts []string
			for _, v := range got {
				texts = append(texts, string(v))
			}
			if errors.Is(err, ErrMalformed) != tc.bad || strings.Join(texts, "|") != tc.want {
				t.Fatalf("got %q, %v", texts, err)
			}
		})
	}
}
