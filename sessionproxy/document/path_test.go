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
}

// TestNoPath: a listener's option refuses it, and a placeholder of it is empty.
func TestNoPath(t *testing.T) {
	within := func(name string, depth int) string {
		return strings.Repeat(`{"`+name+`":`, depth) + "1" + strings.Repeat("}", depth)
	}
	for _, tc := range []struct{ path, doc string }{
		{"", within("", 1)}, {".", within("", 2)}, {"a.", `{"a":{"":1}}`}, {".a", `{"":{"a":1}}`}, {"a..b", `{"a":{"":{"b":1}}}`},
		{strings.Repeat("a.", MaxDepth) + "a", within("a", MaxDepth+1)},
	} {
		if _, err := ParseSelection(tc.path); err == nil {
			t.Errorf("%q passes for a path", tc.path)
		}
		if raw, ok := Lookup([]byte(tc.doc), tc.path); ok {
			t.Errorf("%q leads to %s", tc.path, raw)
		}
	}
	deepest := strings.Repeat("a.", MaxDepth-1) + "a"
	if _, ok := Lookup([]byte(within("a", MaxDepth)), deepest); !ok {
		t.Error("nothing is found at the greatest depth")
	}
	if _, err := ParseSelection(deepest); err != nil {
		t.Error(err)
	}
	if raw, _ := Lookup([]byte(`{"*":1}`), "*"); string(raw) != "1" {
		t.Errorf("a member named * is %q", raw)
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

func TestLookup(t *testing.T) {
	doc := []byte(`{"role":"sta\u0007ff","n":1.50,"ok":true,"none":null,"o":{"p":[{"q":"x"},2]},"e":[],"Zo\u00eb":1,"big":1E300,"long":9007199254740993000,"exp":1E2,"no":false}`)
	for _, tc := range []struct {
		path  string
		value any
	}{
		{"role", "staff"}, {"n", 1.5}, {"ok", true}, {"none", nil},
		{"o", nil}, {"o.p", nil}, {"o.p.0.q", "x"}, {"o.p.1", int64(2)}, {"o.p.2", nil},
		{"o.p.-1", nil}, {"o.p.01", nil}, {"o.p.+1", nil}, {"o.p.x", nil}, {"e.0", nil}, {"missing", nil}, {"role.x", nil}, {"Zoë", int64(1)}, {"", nil},
		{"big", 1e300}, {"long", int64(9007199254740993000)}, {"exp", float64(100)}, {"no", false},
	} {
		raw, _ := Lookup(doc, tc.path)
		if got, ok := Scalar(raw); got != tc.value || ok != (tc.value != nil) {
			t.Errorf("%s: got %T %v, %v", tc.path, got, got, ok)
		}
	}
}
