package document

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

func TestJSONPatch(t *testing.T) {
	for _, c := range []struct {
		name, doc, patch, want string
		err                    error
	}{
		{"nothing", `{"a":1}`, `[]`, `{"a":1}`, nil},
		{"add a member", `{"a":1}`, `[{"op":"add","path":"/b","value":{"c":[]}}]`, `{"a":1,"b":{"c":[]}}`, nil},
		{"add in place of another", `{"a":1}`, `[{"op":"add","path":"/a","value":2}]`, `{"a":2}`, nil},
		{"add before an element", `{"a":[1,2]}`, `[{"op":"add","path":"/a/1","value":9}]`, `{"a":[1,9,2]}`, nil},
		{"add at the end", `{"a":[1,2]}`, `[{"op":"add","path":"/a/-","value":9},{"op":"add","path":"/a/3","value":8}]`, `{"a":[1,2,9,8]}`, nil},
		{"add all", `{"a":[1,2]}`, `[{"op":"add","path":"","value":{"z":1}}]`, `{"z":1}`, nil},
		{"replace", `{"a":[1,2]}`, `[{"op":"replace","path":"/a/0","value":null}]`, `{"a":[null,2]}`, nil},
		{"remove", `{"a":[1,2],"b":1}`, `[{"op":"remove","path":"/a/0"},{"op":"remove","path":"/b"}]`, `{"a":[2]}`, nil},
		{"move", `{"a":{"b":1}}`, `[{"op":"move","from":"/a/b","path":"/c"}]`, `{"a":{},"c":1}`, nil},
		{"copy", `{"a":{"b":1}}`, `[{"op":"copy","from":"/a","path":"/c"}]`, `{"a":{"b":1},"c":{"b":1}}`, nil},
		{"test", `{"a":{"b":1.0,"c":["x"]}}`, `[{"op":"test","path":"/a","value":{"c":["x"],"b":1}}]`, `{"a":{"b":1.0,"c":["x"]}}`, nil},
		{"test of -0", `{"a":-0}`, `[{"op":"test","path":"/a","value":0}]`, `{"a":-0}`, nil},
		{"members that nobody knows", `{}`, `[{"op":"add","path":"/a","value":1,"why":"so"}]`, `{"a":1}`, nil},

		{"test fails", `{"a":1}`, `[{"op":"add","path":"/b","value":1},{"op":"test","path":"/a","value":2}]`, "", ErrTest},
		{"test of long integers", `{"a":9007199254740993}`, `[{"op":"test","path":"/a","value":9007199254740992}]`, "", ErrTest},
		{"test of another type", `{"a":1}`, `[{"op":"test","path":"/a","value":"1"}]`, "", ErrTest},
		{"test of what is not there", `{}`, `[{"op":"test","path":"/a","value":null}]`, "", ErrTest},
		{"test with a member more", `{"a":{}}`, `[{"op":"test","path":"/a","value":{"b":1}}]`, "", ErrTest},
		{"replace what is not there", `{}`, `[{"op":"replace","path":"/a","value":1}]`, "", ErrNoPath},
		{"remove what is not there", `{}`, `[{"op":"remove","path":"/a"}]`, "", ErrNoPath},
		{"remove all", `{}`, `[{"op":"remove","path":""}]`, "", ErrNoPath},
		{"move what is not there", `{}`, `[{"op":"move","from":"/a","path":"/b"}]`, "", ErrNoPath},
		{"add under what is not there", `{}`, `[{"op":"add","path":"/a/b","value":1}]`, "", ErrNoPath},
		{"index out of range", `{"a":[1]}`, `[{"op":"add","path":"/a/2","value":1}]`, "", ErrNoPath},
		{"negative index", `{"a":[1]}`, `[{"op":"replace","path":"/a/-1","value":1}]`, "", ErrNoPath},
		{"index with a zero before", `{"a":[1,2]}`, `[{"op":"replace","path":"/a/01","value":1}]`, "", ErrNoPath},
		{"a copy bomb", `{"a":{"b":"` + strings.Repeat("x", 200) + `"}}`, `[` + strings.TrimSuffix(strings.Repeat(`{"op":"copy","from":"/a","path":"/a/c"},`, 30), ",") + `]`, "", ErrTooLarge},
		{"too deep", `{"a":{}}`, `[` + strings.TrimSuffix(strings.Repeat(`{"op":"copy","from":"","path":"/a"},`, 40), ",") + `]`, "", ErrMalformed},
		{"reserved", `{}`, `[{"op":"add","path":"/$a","value":1}]`, "", ErrReserved},
		{"reserved, at the top", `{}`, `[{"op":"add","path":"","value":{"$a":1}}]`, "", ErrReserved},
		{"reserved, replaced", `{}`, `[{"op":"replace","path":"","value":{"$a":1}}]`, "", ErrReserved},
		{"reserved, copied to the top", `{"a":{"$b":1}}`, `[{"op":"copy","from":"/a","path":""}]`, "", ErrReserved},
		{"no object at the top", `{}`, `[{"op":"replace","path":"","value":[]}]`, "", ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := ParseJSONPatch([]byte(c.patch), 0)
			if err != nil {
				t.Fatal(err)
			}
			doc := []byte(c.doc)
			got, err := p.Apply(doc, 4096)
			if !errors.Is(err, c.err) || string(got) != c.want {
				t.Errorf("got %s, %v, want %s, %v", got, err, c.want, c.err)
			}
			if string(doc) != c.doc {
				t.Errorf("the document became %s", doc)
			}
		})
	}
}

func TestParseJSONPatchRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"an object": `{}`, "no JSON": `[`, "no operation": `[1]`, "null": `[null]`, "no op": `[{"path":"/a"}]`,
		"unknown op": `[{"op":"frobnicate","path":"/a"}]`, "op in capitals": `[{"OP":"remove","path":"/a"}]`,
		"op is a number": `[{"op":1,"path":"/a"}]`, "no path": `[{"op":"remove"}]`, "bad pointer": `[{"op":"remove","path":"a"}]`,
		"no value": `[{"op":"add","path":"/a"}]`, "no from": `[{"op":"move","path":"/a"}]`,
		"into itself": `[{"op":"move","from":"/a","path":"/a/b"}]`, "duplicate names": `[{"op":"remove","op":"add","path":"/a","value":1}]`,
	} {
		if _, err := ParseJSONPatch([]byte(text), 0); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseJSONPatch([]byte(`[{"op":"add","path":"/a","value":"`+strings.Repeat("x", 100)+`"}]`), 50); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// An empty name is a name like any other (RFC 6901, section 5).
func TestJSONPatchEmptyNames(t *testing.T) {
	for _, tc := range [][3]string{
		{`{"":1}`, `[{"op":"test","path":"/","value":1}]`, `{"":1}`},
		{`{"":{"a":1}}`, `[{"op":"replace","path":"//a","value":2}]`, `{"":{"a":2}}`},
		{`{"a":{"":1}}`, `[{"op":"replace","path":"/a/","value":2}]`, `{"a":{"":2}}`},
		{`{"":{"":{"":1}}}`, `[{"op":"add","path":"///b","value":2},{"op":"remove","path":"///"}]`, `{"":{"":{"b":2}}}`},
		{`{"":{"a":1}}`, `[{"op":"move","from":"/","path":"/b"}]`, `{"b":{"a":1}}`},
		{`{"":{"a":1}}`, `[{"op":"copy","from":"/","path":"/b"}]`, `{"":{"a":1},"b":{"a":1}}`},
		{`{"b":1}`, `[{"op":"copy","from":"/b","path":"/"}]`, `{"":1,"b":1}`},
	} {
		p, err := ParseJSONPatch([]byte(tc[1]), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Apply([]byte(tc[0]), 1<<16); err != nil || !equal(got, []byte(tc[2])) {
			t.Errorf("%s with %s: %s, %v, want %s", tc[0], tc[1], got, err, tc[2])
		}
	}
}

// FuzzJSONPatch compares with another implementation, whatever both accept.
func FuzzJSONPatch(f *testing.F) {
	f.Add([]byte(`{"a":[1,2,{"b":3}]}`), []byte(`[{"op":"move","from":"/a/0","path":"/a/2/c"},{"op":"copy","from":"/a","path":"/d"}]`))
	f.Add([]byte(`{"a":{"b":1}}`), []byte(`[{"op":"test","path":"/a/b","value":1},{"op":"remove","path":"/a/b"},{"op":"add","path":"/x~1y","value":null}]`))
	f.Add([]byte(`{"a":[]}`), []byte(`[{"op":"add","path":"/a/-","value":"\u00e9"},{"op":"replace","path":"/a/0","value":[[]]}]`))
	f.Add([]byte(`{"":{"a":1}}`), []byte(`[{"op":"test","path":"//a","value":1},{"op":"move","from":"/","path":"/b"}]`))
	f.Fuzz(func(t *testing.T, docText, patchText []byte) {
		doc, err := Parse(docText, 0)
		if err != nil {
			return
		}
		p, err := ParseJSONPatch(patchText, 0)
		if err != nil {
			return
		}
		before := bytes.Clone(doc)
		got, err := p.Apply(doc, 1<<16)
		if !bytes.Equal(before, doc) {
			t.Fatal("Apply changed its argument")
		}
		if err != nil {
			return
		}
		if again, err := Parse(got, 0); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%s with %s: %s is not in compact form (%v)", doc, patchText, got, err)
		}
		for _, op := range p.ops {
			if len(op.path) == 0 || (op.name == "move" || op.name == "copy") && len(op.from) == 0 {
				return // the library does not know the whole document as a place
			}
			if slices.Contains(op.path, "") || slices.Contains(op.from, "") {
				return // the library takes what has the empty name for what is around it
			}
		}
		other, err := jsonpatch.DecodePatch(patchText)
		if err != nil {
			return
		}
		want, err := other.ApplyWithOptions(doc, &jsonpatch.ApplyOptions{AccumulatedCopySizeLimit: 1 << 16})
		if err != nil {
			t.Fatalf("%s with %s: got %s, the library says %v", doc, patchText, got, err)
		}
		canonical, err := Parse(want, 0)
		if err != nil || !equal(got, canonical) {
			t.Fatalf("%s with %s: got %s, the library says %s", doc, patchText, got, want)
		}
	})
}
