package jar

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyJar draws a jar; without a past if deep is not set.
func anyJar(t *rapid.T, deep bool) *Jar {
	text := rapid.StringN(0, 20, 40)
	domain := func() (string, flags) {
		d := text.Draw(t, "domain")
		f := flags(rapid.IntRange(0, allFlags).Draw(t, "flags")) &^ hasDomain
		if d != "" {
			f |= hasDomain
		}
		return d, f
	}
	j := new(Jar)
	for range rapid.IntRange(0, 8).Draw(t, "cookies") {
		d, f := domain()
		j.cookies = append(j.cookies, cookie{
			name: text.Draw(t, "name"), path: text.Draw(t, "path"), value: text.Draw(t, "value"), domain: d, flags: f,
			created: rapid.Int64Min(0).Draw(t, "created"), expires: rapid.Int64Min(0).Draw(t, "expires"),
			changes: rapid.Uint8Range(0, maxChanges+1).Draw(t, "changes"),
		})
	}
	for range rapid.IntRange(0, 4).Draw(t, "notes") {
		d, f := domain()
		j.notes = append(j.notes, note{name: text.Draw(t, "note"), path: text.Draw(t, "path"), domain: d, flags: f})
	}
	if deep && rapid.Bool().Draw(t, "past") {
		j = j.WithPast(anyJar(t, false), noon)
	}
	if j.isEmpty() {
		return nil
	}
	return j
}

func TestEncodedJarsAreDecoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := anyJar(t, true)
		index, secret := j.Encode()
		got, err := Decode(index, secret)
		if err != nil || !reflect.DeepEqual(got, j) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, got, j)
		}
		if j == nil {
			return
		}
		infos, err := Describe(index)
		if err != nil || len(infos) != len(j.cookies)+len(j.notes) {
			t.Fatal(infos, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	r := newRules(f, Options{})
	j := filled(f, r, page("/x"), "PHPSESSID=1; path=/", "a=2; HttpOnly; Max-Age=60; Domain=x", "csrf=3; Domain=y")
	for _, seed := range []*Jar{nil, j, j.WithPast(j, noon), j.WithPast(nil, noon)} {
		index, secret := seed.Encode()
		f.Add(index, secret)
	}
	f.Fuzz(func(t *testing.T, index, secret []byte) {
		j, err := Decode(index, secret)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		again, values := j.Encode()
		if !bytes.Equal(again, index) || !bytes.Equal(values, secret) {
			t.Fatalf("%x %x becomes %x %x", index, secret, again, values)
		}
		r.Line(j, page("/x"), nil)
		j.Export(noon)
	})
}

func TestDamagedJarsAreRefused(t *testing.T) {
	j := filled(t, newRules(t, Options{}), page("/"), "PHPSESSID=1", "csrf=3; Domain=y")
	j = j.WithPast(j, noon)
	index, secret := j.Encode()
	for cut := range index {
		if _, err := Decode(index[:cut], secret); !errors.Is(err, ErrFormat) {
			t.Errorf("an index of %d bytes: %v", cut, err)
		}
	}
	for cut := range secret {
		if _, err := Decode(index, secret[:cut]); !errors.Is(err, ErrFormat) {
			t.Errorf("a secret of %d bytes: %v", cut, err)
		}
	}
	newer := append([]byte{format + 1}, index[1:]...)
	if _, err := Decode(newer, secret); !errors.Is(err, ErrFormat) {
		t.Errorf("a newer format: %v", err)
	}
	if _, err := Describe(newer); !errors.Is(err, ErrFormat) {
		t.Errorf("describing a newer format: %v", err)
	}
}

func TestOperatorsSeeNoValue(t *testing.T) {
	at := page("/x/y")
	j := filled(t, newRules(t, Options{}), at, "PHPSESSID=verysecret; Max-Age=60; Secure; SameSite=Lax", "csrftoken=verysecret; Path=/c")
	index, _ := j.Encode()
	if bytes.Contains(index, []byte("verysecret")) {
		t.Errorf("the index has a value: %q", index)
	}
	infos, err := Describe(index)
	want := []Info{
		{Name: "PHPSESSID", Path: "/x", Created: time.UnixMilli(noon.UnixMilli()), Expires: time.Unix(in(time.Minute), 0), Size: 19, Secure: true, SameSite: "lax"},
		{Name: "csrftoken", Path: "/c", InBrowser: true},
	}
	if err != nil || !reflect.DeepEqual(infos, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, infos, want)
	}
}

func TestPastIsShownForAWhile(t *testing.T) {
	r := newRules(t, Options{})
	before := filled(t, r, page("/"), "PHPSESSID=anonymous")
	login := page("/login")
	login.Unsafe = true
	m := Merge(before, r.Sort(before, login, []string{"PHPSESSID=alice; path=/"}).Wishes, Moment{At: noon})
	if !m.Login {
		t.Fatal("no login is seen")
	}
	j := m.Jar.WithPast(before, noon)
	past, _ := j.Past(noon)
	j = j.WithPast(past, noon) // a past has none of its own
	past, ok := j.Past(noon.Add(PastFor - time.Millisecond))
	if got := r.Line(past, page("/"), nil).Value; !ok || got != "PHPSESSID=anonymous" {
		t.Errorf("the past is %q", got)
	}
	for _, none := range []*Jar{j.WithoutPast(), nil, (*Jar)(nil).WithoutPast(), (*Jar)(nil).WithPast(nil, noon).WithoutPast()} {
		if _, ok := none.Past(noon); ok {
			t.Error("there is a past")
		}
	}
	if _, ok := j.Past(noon.Add(PastFor)); ok {
		t.Error("the past is shown too long")
	}
	late := page("/")
	late.At = noon.Add(PastFor)
	if m := Merge(j, r.Sort(j, late, []string{"x=1; HttpOnly"}).Wishes, Moment{At: late.At}); m.Jar.past != nil {
		t.Error("the past is kept when it is over")
	}
}

// TestAnEmptyPastIsAPast: a session that a page began without cookies has one, too.
func TestAnEmptyPastIsAPast(t *testing.T) {
	r := newRules(t, Options{})
	for _, j := range []*Jar{nil, filled(t, r, page("/"), "PHPSESSID=alice")} {
		got, err := Decode(j.WithPast(nil, noon).Encode())
		if err != nil {
			t.Fatal(err)
		}
		if past, ok := got.Past(noon); !ok || past != nil {
			t.Errorf("the past is %+v, %v", past, ok)
		}
		if past, ok := got.Past(noon.Add(PastFor)); ok {
			t.Errorf("the past is shown too long: %+v", past)
		}
		late := page("/")
		late.At = noon.Add(PastFor)
		if m := Merge(got, r.Sort(got, late, []string{"PHPSESSID=; Max-Age=0", "x=1; HttpOnly", "x=; Max-Age=0"}).Wishes, Moment{At: late.At}); m.Changed && m.Jar != nil && m.Jar.past != nil {
			t.Error("the past is kept when it is over")
		}
	}
}

func TestLargestJarFits(t *testing.T) {
	r := newRules(t, Options{MaxSize: LargestMaxSize})
	path := "/" + strings.Repeat("p", maxAttribute-1)
	var j *Jar
	for i := range 300 {
		name := string(rune('a'+i%26)) + strings.Repeat("n", i)
		j = j.With(r.Sort(j, page("/"), []string{
			name + "=" + strings.Repeat("v", 500) + "; HttpOnly; Path=" + path + "; Domain=" + strings.Repeat("d", maxAttribute),
			name + "=" + "; Path=/r" + path[:900] + "; Domain=" + strings.Repeat("d", maxAttribute),
		}).Wishes, noon)
	}
	j = j.WithPast(j, noon)
	index, secret := j.Encode()
	if size := len(index) + len(secret); size > 300<<10 || size < 50<<10 {
		t.Errorf("%d bytes", size)
	}
	if _, err := Decode(index, secret); err != nil {
		t.Error(err)
	}
}
