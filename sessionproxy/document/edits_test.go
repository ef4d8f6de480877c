package document

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The cases of RFC 7396, appendix A, whose both sides are objects, and some more.
func TestMergePatch(t *testing.T) {
	for _, tc := range []struct{ doc, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":1}`, `{"a":{"b":2}}`, `{"a":{"b":2}}`},
		{`{"a":[null,{"b":null}]}`, `{"c":[null,{"b":null}]}`, `{"a":[null,{"b":null}],"c":[null,{"b":null}]}`},
		{`{"a\"":1}`, `{"a\"":2}`, `{"a\"":2}`},
	} {
		p, err := ParseMergePatch([]byte(tc.patch), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Apply([]byte(tc.doc)); string(got) != tc.want {
			t.Errorf("%s with %s: got %s, want %s", tc.doc, tc.patch, got, tc.want)
		}
	}
}

func TestNoChangeReturnsTheSameBytes(t *testing.T) {
	doc := []byte(`{"a":{"b":1},"c":2}`)
	for _, text := range []string{`{}`, `{"x":null}`, `{"a":{"b":1}}`, `{"a":{}}`, `{"c":2}`} {
		p, err := ParseMergePatch([]byte(text), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Apply(doc); &got[0] != &doc[0] {
			t.Errorf("%s made a copy", text)
		}
	}
}

func TestOverlaps(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1}`, `{"b":1}`, false},
		{`{"a":1}`, `{"a":1}`, false},
		{`{"a":1}`, `{"a":2}`, true},
		{`{"a":null}`, `{"a":null}`, false},
		{`{"a":null}`, `{"a":1}`, true},
		{`{"a":{"b":1}}`, `{"a":{"c":1}}`, false},
		{`{"a":{"b":1}}`, `{"a":{"b":2}}`, true},
		{`{"a":{"b":1}}`, `{"a":7}`, true},
		{`{"a":{"b":1}}`, `{"a":null}`, true},
	} {
		a, errA := ParseMergePatch([]byte(tc.a), 0)
		b, errB := ParseMergePatch([]byte(tc.b), 0)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.Overlaps(b) != tc.want || b.Overlaps(a) != tc.want {
			t.Errorf("%s and %s: want %v", tc.a, tc.b, tc.want)
		}
	}
}

// One side makes the object inside which the other side writes.
func TestOverlapsInsideANewObject(t *testing.T) {
	made := Diff([]byte(`{}`), []byte(`{"o":{"a":1}}`))
	for text, want := range map[string]bool{`{"o":{"b":2}}`: false, `{"o":{"a":1}}`: false, `{"o":{"a":2}}`: true, `{"o":null}`: true} {
		p, err := ParseMergePatch([]byte(text), 0)
		if err != nil {
			t.Fatal(err)
		}
		if made.Overlaps(p) != want || p.Overlaps(made) != want {
			t.Errorf("%s: want %v", text, want)
		}
	}
}

func TestAdditions(t *testing.T) {
	for _, tc := range []struct {
		doc, add, want string
		parse, apply   error
	}{
		{`{"n":1}`, `{"n":2}`, `{"n":3}`, nil, nil},
		{`{}`, `{"n":-2,"o":{"p":1}}`, `{"n":-2,"o":{"p":1}}`, nil, nil},
		{`{"o":{"p":1,"q":"x"}}`, `{"o":{"p":-1}}`, `{"o":{"p":0,"q":"x"}}`, nil, nil},
		{`{}`, `{"n":0}`, `{"n":0}`, nil, nil},
		{`{"n":-0}`, `{"n":0}`, `{"n":-0}`, nil, nil},
		{`{}`, `{"o":{}}`, `{}`, nil, nil},
		{`{"n":9007199254740991}`, `{"n":1}`, `{"n":9007199254740992}`, nil, nil},
		{`{"n":9007199254740992}`, `{"n":1}`, ``, nil, ErrRange},
		{`{"n":-9007199254740992}`, `{"n":-1}`, ``, nil, ErrRange},
		{`{"n":"1"}`, `{"n":1}`, ``, nil, ErrNotNumber},
		{`{"n":null}`, `{"n":1}`, ``, nil, ErrNotNumber},
		{`{"n":1.5}`, `{"n":1}`, ``, nil, ErrNotNumber},
		{`{"n":1e2}`, `{"n":1}`, ``, nil, ErrNotNumber},
		{`{"n":{}}`, `{"n":1}`, ``, nil, ErrNotNumber},
		{`{"o":1}`, `{"o":{"p":1}}`, ``, nil, ErrNotNumber},
		{`{}`, `{"n":1.5}`, ``, ErrMalformed, nil},
		{`{}`, `{"n":1e2}`, ``, ErrMalformed, nil},
		{`{}`, `{"n":"1"}`, ``, ErrMalformed, nil},
		{`{}`, `{"n":null}`, ``, ErrMalformed, nil},
		{`{}`, `{"n":[1]}`, ``, ErrMalformed, nil},
		{`{}`, `{"n":9007199254740993}`, ``, ErrRange, nil},
		{`{}`, `{"n":99999999999999999999}`, ``, ErrRange, nil},
		{`{}`, `{"$n":1}`, ``, ErrReserved, nil},
		{`{}`, `5`, ``, ErrMalformed, nil},
	} {
		a, err := ParseIncrements([]byte(tc.add), 0)
		if !errors.Is(err, tc.parse) {
			t.Errorf("%s: got %v, want %v", tc.add, err, tc.parse)
		}
		if tc.parse != nil || err != nil {
			continue
		}
		got, err := a.Apply([]byte(tc.doc))
		if !errors.Is(err, tc.apply) || string(got) != tc.want {
			t.Errorf("%s and %s: got %s, %v", tc.doc, tc.add, got, err)
		}
	}
}

// What is left of additions after changes to some of their places.
func TestAdditionsWithout(t *testing.T) {
	for _, tc := range []struct{ add, from, to, want string }{
		{`{"n":1,"m":2}`, `{"n":1,"m":2}`, `{"n":1,"m":2,"x":1}`, `{"n":1,"m":2}`},
		{`{"n":1,"m":2}`, `{"n":1,"m":2}`, `{"n":5,"m":2}`, `{"m":2}`},
		{`{"n":1,"m":2}`, `{"n":1,"m":2}`, `{"m":2}`, `{"m":2}`},
		{`{"n":1}`, `{"n":1}`, `{"n":{"in":1}}`, `{}`},
		{`{"o":{"n":1,"m":2},"k":3}`, `{"o":{"n":1,"m":2}}`, `{"o":{"n":1,"m":2,"x":1}}`, `{"o":{"n":1,"m":2},"k":3}`},
		{`{"o":{"n":1,"m":2},"k":3}`, `{"o":{"n":1,"m":2}}`, `{"o":{"n":1}}`, `{"o":{"n":1},"k":3}`},
		{`{"o":{"n":1},"k":3}`, `{"o":{"n":1}}`, `{"o":{"n":7}}`, `{"k":3}`},
		{`{"o":{"n":1,"m":2},"k":3}`, `{"o":{"n":1,"m":2}}`, `{"o":"text"}`, `{"k":3}`},
		{`{"o":{"n":1,"m":2},"k":3}`, `{"o":{"n":1,"m":2}}`, `{}`, `{"k":3}`},
	} {
		a, err := ParseIncrements([]byte(tc.add), 0)
		if err != nil {
			t.Fatal(err)
		}
		left := a.Without(Diff([]byte(tc.from), []byte(tc.to)))
		got, err := left.Apply([]byte(`{}`))
		if err != nil || string(got) != tc.want || left.Empty() != (tc.want == `{}`) {
			t.Errorf("%s without %s to %s: %s, %v, want %s", tc.add, tc.from, tc.to, got, err, tc.want)
		}
	}
}

// genObject draws compact objects whose names often meet.
func genObject(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		out := []byte{'{'}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d\"", "é"}), 0, 4, rapid.ID[string]).Draw(t, "names") {
			value := rapid.SampledFrom([]string{"1", "2", `"x"`, "null", "[1,{}]", "true"}).Draw(t, "value")
			if depth > 0 && rapid.Bool().Draw(t, "object") {
				value = genObject(depth-1).Draw(t, "inside")
			}
			out = appendMember(out, AppendString(nil, name), []byte(value))
		}
		return string(append(out, '}'))
	})
}

// same compares documents without regard to the order of members.
func same(a, b []byte) bool { return Diff(a, b).Empty() && Diff(b, a).Empty() }

func TestLaws(t *testing.T) {
	draw := func(t *rapid.T, label string) []byte { return []byte(genObject(3).Draw(t, label)) }
	t.Run("a difference leads from one to the other", rapid.MakeCheck(func(t *rapid.T) {
		from, to := draw(t, "from"), draw(t, "to")
		before := bytes.Clone(from)
		got := Diff(from, to).Apply(from)
		if !same(got, to) {
			t.Fatalf("got %s", got)
		}
		if !bytes.Equal(before, from) {
			t.Fatal("Apply changed its argument")
		}
	}))
	t.Run("applying twice is applying once", rapid.MakeCheck(func(t *rapid.T) {
		doc := draw(t, "doc")
		p := Edits{edits: mergePatchEdits(draw(t, "patch"))}
		once := p.Apply(doc)
		if again := p.Apply(once); !bytes.Equal(once, again) {
			t.Fatalf("%s became %s", once, again)
		}
	}))
	t.Run("changes that do not overlap commute", rapid.MakeCheck(func(t *rapid.T) {
		doc := draw(t, "doc")
		p, q := Diff(doc, draw(t, "one")), Diff(doc, draw(t, "two"))
		if p.Overlaps(q) {
			return
		}
		if pq, qp := q.Apply(p.Apply(doc)), p.Apply(q.Apply(doc)); !same(pq, qp) {
			t.Fatalf("%s and %s", pq, qp)
		}
	}))
}

func TestNamesOfChanges(t *testing.T) {
	c := Diff([]byte(`{"a":1,"o":{"x":1},"gone":0,"same":[1]}`), []byte(`{"a":2,"o":{"x":2},"same":[1],"\u00e9\"":null}`))
	if got := c.Names(); !slices.Equal(got, []string{"a", "o", `é"`, "gone"}) {
		t.Errorf("got %q", got)
	}
	if got := (Edits{}).Names(); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}
