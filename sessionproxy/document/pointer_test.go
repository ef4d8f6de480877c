package document

import (
	"errors"
	"strings"
	"testing"
)

func TestParsePointer(t *testing.T) {
	for text, want := range map[string][]string{
		"": {}, "/": {""}, "/a/b": {"a", "b"}, "/a~1b/m~0n": {"a/b", "m~n"}, "/~01": {"~1"}, "/0/-": {"0", "-"},
	} {
		p, err := ParsePointer(text)
		if err != nil || strings.Join(p, "|") != strings.Join(want, "|") || len(p) != len(want) {
			t.Errorf("%q: %q, %v", text, p, err)
		}
	}
	for _, text := range []string{"a", "/~", "/a~2b", "#/a"} {
		if p, err := ParsePointer(text); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %q, %v", text, p, err)
		}
	}
}

const tree = `{"a":1,"o":{"x":[10,[20,21],{"y":null}]},"":{"":2},"e\"\u00e9":3}`

func TestAt(t *testing.T) {
	for pointer, want := range map[string]string{
		"": tree, "/a": "1", "/o/x/0": "10", "/o/x/1/1": "21", "/o/x/2/y": "null", "//": "2", "/e\"é": "3",
		"/b": "", "/a/b": "", "/o/x/3": "", "/o/x/00": "", "/o/x/-": "", "/o/x/+1": "", "/o/x/1/9": "", "/o/x/99999999999": "",
	} {
		p, err := ParsePointer(pointer)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := At([]byte(tree), p)
		if string(got) != want || ok != (want != "") {
			if !ok && want == "" {
				continue
			}
			t.Errorf("%q: %s, %v, want %s", pointer, got, ok, want)
		}
	}
}

func TestSetAndRemove(t *testing.T) {
	for _, c := range []struct{ name, doc, at, value, want string }{
		{"a new member", `{}`, "/a", "1", `{"a":1}`},
		{"another member", `{"a":1}`, "/b", `"x"`, `{"a":1,"b":"x"}`},
		{"in place of another", `{"a":1,"b":2}`, "/a", `[]`, `{"a":[],"b":2}`},
		{"null is a value", `{"a":1}`, "/a", `null`, `{"a":null}`},
		{"missing parents", `{"a":1}`, "/b/c/d", `4`, `{"a":1,"b":{"c":{"d":4}}}`},
		{"an element", `{"a":[1,2,3]}`, "/a/1", `9`, `{"a":[1,9,3]}`},
		{"at the end", `{"a":[1]}`, "/a/-", `9`, `{"a":[1,9]}`},
		{"at the index of the end", `{"a":[]}`, "/a/0", `9`, `{"a":[9]}`},
		{"inside an element", `{"a":[{"b":1}]}`, "/a/0/c", `2`, `{"a":[{"b":1,"c":2}]}`},
		{"everything", `{"a":1}`, "", `{"z":1}`, `{"z":1}`},
		{"a name that is escaped", `{}`, "/é\n", `1`, `{"\u00e9\n":1}`},
		{"nothing but an object at the top", `{"a":1}`, "", `[1]`, ""},
		{"behind the end", `{"a":[1]}`, "/a/5", `9`, ""},
		{"no index", `{"a":[1]}`, "/a/x", `9`, ""},
		{"through a scalar", `{"a":1}`, "/a/b", `9`, ""},
		{"a missing element as parent", `{"a":[]}`, "/a/0/b", `9`, ""},
		{"reserved", `{}`, "/$a", `9`, ""},
		{"reserved, deeper", `{}`, "/$a/b", `9`, ""},
		{"too deep", `{}`, strings.Repeat("/a", MaxDepth), `{}`, ""},
		{"as deep as allowed", `{}`, strings.Repeat("/a", MaxDepth-1), `{}`, strings.Repeat(`{"a":`, MaxDepth-1) + "{}" + strings.Repeat("}", MaxDepth-1)},
	} {
		t.Run("set "+c.name, func(t *testing.T) {
			p, err := ParsePointer(c.at)
			if err != nil {
				t.Fatal(err)
			}
			doc := []byte(c.doc)
			got, err := Set(doc, p, []byte(c.value))
			if string(got) != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
			if string(doc) != c.doc {
				t.Errorf("the document became %s", doc)
			}
		})
	}
	for _, c := range []struct{ name, doc, at, want string }{
		{"the only member", `{"a":1}`, "/a", `{}`},
		{"the first", `{"a":1,"b":2}`, "/a", `{"b":2}`},
		{"the middle", `{"a":1,"b":2,"c":3}`, "/b", `{"a":1,"c":3}`},
		{"the last", `{"a":1,"b":2}`, "/b", `{"a":1}`},
		{"an element", `{"a":[1,2]}`, "/a/0", `{"a":[2]}`},
		{"the last element", `{"a":[1,2]}`, "/a/1", `{"a":[1]}`},
		{"inside", `{"a":{"b":{"c":1,"d":2}}}`, "/a/b/c", `{"a":{"b":{"d":2}}}`},
		{"everything", `{"a":1}`, "", `{}`},
		{"what is not there", `{"a":1}`, "/b", ""},
		{"from nothing", `{}`, "", ""},
		{"behind the end", `{"a":[1]}`, "/a/-", ""},
	} {
		t.Run("remove "+c.name, func(t *testing.T) {
			p, err := ParsePointer(c.at)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := Remove([]byte(c.doc), p)
			if ok != (c.want != "") || ok && string(got) != c.want {
				t.Errorf("got %s, %v, want %s", got, ok, c.want)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	for _, c := range []struct{ name, base, ours, theirs, want string }{
		{"different members", `{"a":1,"b":1}`, `{"a":2,"b":1}`, `{"a":1,"b":2}`, `{"a":2,"b":2}`},
		{"members of one nested object", `{"o":{"a":1,"b":1}}`, `{"o":{"a":2,"b":1}}`, `{"o":{"a":1,"b":2}}`, `{"o":{"a":2,"b":2}}`},
		{"added on both sides", `{}`, `{"a":1}`, `{"b":2}`, `{"b":2,"a":1}`},
		{"added into one new object", `{}`, `{"o":{"a":1}}`, `{"o":{"b":2}}`, `{"o":{"b":2,"a":1}}`},
		{"the same member of one new object", `{}`, `{"o":{"a":1}}`, `{"o":{"a":2}}`, ``},
		{"a new object here, a number there", `{}`, `{"o":{"a":1}}`, `{"o":1}`, ``},
		{"a new object on both sides, empty here", `{}`, `{"o":{}}`, `{"o":{"a":2}}`, `{"o":{"a":2}}`},
		{"a number became an object on both sides", `{"o":1}`, `{"o":{"a":1}}`, `{"o":{"b":1}}`, ``},
		{"removed here, changed there elsewhere", `{"a":1,"b":1}`, `{"b":1}`, `{"a":1,"b":2}`, `{"b":2}`},
		{"the same change", `{"a":1}`, `{"a":2}`, `{"a":2}`, `{"a":2}`},
		{"the same removal", `{"a":1}`, `{}`, `{}`, `{}`},
		{"nothing there", `{"a":1}`, `{"a":2}`, `{"a":1}`, `{"a":2}`},
		{"the same leaf", `{"a":1}`, `{"a":2}`, `{"a":3}`, ``},
		{"an array on both sides", `{"a":[1]}`, `{"a":[1,2]}`, `{"a":[1,3]}`, ``},
		{"an array here, another member there", `{"a":[1],"b":1}`, `{"a":[2],"b":1}`, `{"a":[1],"b":2}`, `{"a":[2],"b":2}`},
		{"removed here, changed inside there", `{"o":{"a":1}}`, `{}`, `{"o":{"a":2}}`, ``},
		{"changed inside here, removed there", `{"o":{"a":1}}`, `{"o":{"a":2}}`, `{}`, ``},
		{"an object became a number there", `{"o":{"a":1}}`, `{"o":{"a":2}}`, `{"o":1}`, ``},
		{"null is a value", `{"a":1}`, `{"a":null}`, `{"a":1,"b":1}`, `{"a":null,"b":1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Merge([]byte(c.base), []byte(c.ours), []byte(c.theirs))
			if string(got) != c.want || ok != (c.want != "") {
				t.Errorf("got %s, %v, want %s", got, ok, c.want)
			}
		})
	}
}
