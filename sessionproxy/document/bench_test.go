package document

import (
	"strings"
	"testing"
)

var benchDoc = []byte(`{"user":{"id":42,"name":"Alice Example","roles":["staff","editor"]},"cart":{"items":[{"sku":"A-1","n":2},{"sku":"B-7","n":1}],"total":4250},"csrf":"` + strings.Repeat("k", 40) + `","seen":["` + strings.Repeat(`a1","`, 20) + `z"],"visits":17}`)

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(benchDoc)))
	for b.Loop() {
		if _, err := Parse(benchDoc, 1<<16); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMergePatch(b *testing.B) {
	b.ReportAllocs()
	patch := []byte(`{"visits":18,"cart":{"total":4300}}`)
	for b.Loop() {
		p, err := ParseMergePatch(patch, 1<<16)
		if err != nil {
			b.Fatal(err)
		}
		if out := p.Apply(benchDoc); len(out) != len(benchDoc) {
			b.Fatal("wrong size")
		}
	}
}

func BenchmarkAdditions(b *testing.B) {
	b.ReportAllocs()
	text := []byte(`{"visits":1}`)
	for b.Loop() {
		a, err := ParseIncrements(text, 1<<16)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := a.Apply(benchDoc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	b.ReportAllocs()
	p, err := ParseMergePatch([]byte(`{"visits":18}`), 0)
	if err != nil {
		b.Fatal(err)
	}
	to := p.Apply(benchDoc)
	for b.Loop() {
		if Diff(benchDoc, to).Empty() {
			b.Fatal("no difference")
		}
	}
}
