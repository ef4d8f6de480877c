package document

import (
	"strings"
	"testing"
)

func TestSelection(t *testing.T) {
	doc := []byte(`{"a":"x","list":["p","q\u0007"],"files":[{"path":"1"},{"path":"2","more":["3"]},7,null],"o":{"b":{"c":1},"d":{"c":[2]}},"e":{},"*":"star"}`)
	for _, tc := range []struct{ path, want string }{
		{"a", `"x"`},
		{"missing", ``},
		{"a.b", ``},
		{"list", `["p","q\u0007"]`},
		{"list.*", `"p" "q\u0007"`},
		{"list.1", `"q\u0007"`},
		{"files.*.path", `"1" "2"`},
		{"files.*.more.*", `"3"`},
		{"o.*.c", `1 [2]`},
		{"o.*.*", `1 [2]`},
		{"o.*.c.*", `2`},
		{"e.*", ``},
		{"a.*", ``},
		{"*.0", `"p" {"path":"1"}`},
	} {
		t.Run(tc.path, func(t *testing.T) {
			s, err := ParseSelection(tc.path)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for v := range s.In(doc) {
				got = append(got, string(v))
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	for _, path := range []string{"", ".", "a.", ".a", "a..b", strings.Repeat("a.", MaxDepth) + "a"} {
		if _, err := ParseSelection(path); err == nil {
			t.Errorf("%q passes for a path", path)
		}
	}
}

func TestSelectionStops(t *testing.T) {
	s, err := ParseSelection("*.*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range s.In([]byte(`{"a":[1,2],"b":[3]}`)) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d values before the break, want 2", n)
	}
}
