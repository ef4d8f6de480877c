package document

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/go-json-experiment/json/jsontext"
)

var seeds = []string{
	`{}`, `{"a":1}`, ` { "a" : [ 1 , 2.5e3 , "x\n\u00e9\ud83d\ude00" ] , "b" : { "c" : null } } `,
	`{"a":1,"a":2}`, `{"a":"\ud800"}`, `{"a":1E400}`, `{"$a":1}`, `[]`, `{"a":[[[{}]]]}`, "{\"\x7f\":\"\xff\"}",
	`{"a":-0,"b":0.0,"c":1e-400}`, `{"":{"":""}}`, `{"a":tru}`, `{"a":1}x`,
}

// second reads a document with another implementation, and reports whether it
// is I-JSON within our limits.
func second(src []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(src)) // refuses duplicate names and bad Unicode
	for first := true; ; first = false {
		token, err := d.ReadToken()
		if err != nil {
			return err == io.EOF && !first //nolint:errorlint // the decoder's own end
		}
		if first && token.Kind() != '{' || d.StackDepth() > MaxDepth {
			return false
		}
		switch token.Kind() {
		case '0':
			var f float64
			if json.Unmarshal([]byte(token.String()), &f) != nil {
				return false
			}
		case '"':
			if kind, n := d.StackIndex(1); d.StackDepth() == 1 && kind == '{' && n%2 == 1 && strings.HasPrefix(token.String(), "$") {
				return false
			}
		case '}':
			if d.StackDepth() == 0 {
				_, err := d.ReadToken()
				return err == io.EOF //nolint:errorlint // the decoder's own end
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		got, err := Parse(src, 0)
		if (err == nil) != second(src) {
			t.Fatalf("%q: got %v, the other implementation says %v", src, err, second(src))
		}
		if err != nil {
			return
		}
		var a, b any
		if json.Unmarshal(src, &a) != nil || json.Unmarshal(got, &b) != nil {
			t.Fatalf("%q became %q", src, got)
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Fatalf("%q became %q", src, got)
		}
		if again, err := Parse(got, len(got)); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q is not in compact form: %q %v", got, again, err)
		}
		for _, c := range got {
			if c < ' ' || c > '~' {
				t.Fatalf("%q cannot be a header value", got)
			}
		}
	})
}

func FuzzMergePatch(f *testing.F) {
	for _, a := range seeds {
		for _, b := range seeds[:4] {
			f.Add([]byte(a), []byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, docText, patchText []byte) {
		doc, err := Parse(docText, 0)
		if err != nil {
			return
		}
		patch, err := Parse(patchText, 0)
		if err != nil {
			return
		}
		p, err := ParseMergePatch(patch, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Apply(doc)
		if again, err := Parse(got, 0); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%s with %s: %s is not in compact form", doc, patch, got)
		}
		want, err := jsonpatch.MergePatch(doc, patch)
		if err != nil {
			return // the library gives up on some documents, such as very small numbers
		}
		canonical, err := Parse(want, 0)
		if err != nil || !same(got, canonical) {
			t.Fatalf("%s with %s: got %s, the library says %s", doc, patch, got, want)
		}
	})
}

func FuzzDiff(f *testing.F) {
	for i, a := range seeds {
		f.Add([]byte(a), []byte(seeds[(i*5+3)%len(seeds)]))
	}
	f.Fuzz(func(t *testing.T, fromText, toText []byte) {
		from, err1 := Parse(fromText, 0)
		to, err2 := Parse(toText, 0)
		if err1 != nil || err2 != nil {
			return
		}
		got := Diff(from, to).Apply(from)
		var a, b any
		if json.Unmarshal(got, &a) != nil || json.Unmarshal(to, &b) != nil {
			t.Fatalf("%s", got)
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Fatalf("from %s to %s: got %s", from, to, got)
		}
	})
}

func FuzzAdditions(f *testing.F) {
	f.Add([]byte(`{"n":1,"o":{"p":2}}`), []byte(`{"n":2,"o":{"p":-2,"q":1}}`))
	f.Add([]byte(`{"n":9007199254740992}`), []byte(`{"n":1}`))
	f.Fuzz(func(t *testing.T, docText, addText []byte) {
		doc, err := Parse(docText, 0)
		if err != nil {
			return
		}
		a, err := ParseIncrements(addText, 0)
		if err != nil {
			return
		}
		before := bytes.Clone(doc)
		got, err := a.Apply(doc)
		if !bytes.Equal(before, doc) {
			t.Fatal("Apply changed its argument")
		}
		if err != nil {
			return
		}
		if again, err := Parse(got, 0); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%s with %s: %s is not in compact form", doc, addText, got)
		}
	})
}

func FuzzValues(f *testing.F) {
	f.Add(`{"a":1}, "x"`, `,null`)
	f.Fuzz(func(t *testing.T, one, two string) {
		values, err := SplitList([]string{one, two})
		if err != nil {
			return
		}
		both, err := SplitList([]string{one + "," + two})
		if err != nil || len(both) != len(values) {
			t.Fatalf("two lines are %q, one line is %q (%v)", values, both, err)
		}
		for _, v := range values {
			if len(bytes.Trim(v, " \t")) == 0 {
				t.Fatalf("an empty value among %q", values)
			}
		}
	})
}
