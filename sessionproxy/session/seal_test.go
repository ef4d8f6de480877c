package session

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/store"
)

func TestSeal(t *testing.T) {
	key := store.Key{Manager: "shop", ID: store.ID{1}}
	s := newSeal(key, [16]byte{7})
	index, secret := []byte("names"), []byte("values")
	stored := s.close(5, index, secret)
	if bytes.Contains(stored, secret) {
		t.Fatal("the secret part is readable")
	}
	if again := s.close(5, index, secret); bytes.Equal(again, stored) {
		t.Fatal("two seals have one nonce")
	}
	gotIndex, gotSecret, err := s.open(5, stored)
	if err != nil || !bytes.Equal(gotIndex, index) || !bytes.Equal(gotSecret, secret) {
		t.Fatalf("got %q, %q, %v", gotIndex, gotSecret, err)
	}
	newer := bytes.Clone(stored)
	newer[0]++
	for name, open := range map[string]func() error{
		"another manager": func() error {
			_, _, err := newSeal(store.Key{Manager: "shop2", ID: key.ID}, [16]byte{7}).open(5, stored)
			return err
		},
		"another session": func() error {
			_, _, err := newSeal(store.Key{Manager: "shop", ID: store.ID{2}}, [16]byte{7}).open(5, stored)
			return err
		},
		"another number":      func() error { _, _, err := newSeal(key, [16]byte{8}).open(5, stored); return err },
		"another incarnation": func() error { _, _, err := s.open(6, stored); return err },
		"nothing":             func() error { _, _, err := s.open(5, nil); return err },
		"no seal":             func() error { _, _, err := s.open(5, stored[:8]); return err },
	} {
		if err := open(); !errors.Is(err, errBrokenSeal) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, _, err := s.open(5, newer); !errors.Is(err, errNewerSeal) {
		t.Errorf("newer: got %v", err)
	}
	for i := range stored { // the index too
		changed := bytes.Clone(stored)
		changed[i] ^= 0x40
		if _, _, err := s.open(5, changed); err == nil {
			t.Errorf("a change at %d is not noticed", i)
		}
	}
}

func TestSealOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSeal(store.Key{Manager: "m"}, [16]byte{3})
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "stored")
		if _, _, err := s.open(1, b); err == nil {
			t.Fatal("opened")
		}
		index, secret := rapid.SliceOf(rapid.Byte()).Draw(t, "index"), rapid.SliceOf(rapid.Byte()).Draw(t, "secret")
		gotIndex, gotSecret, err := s.open(2, s.close(2, index, secret))
		if err != nil || !bytes.Equal(gotIndex, index) || !bytes.Equal(gotSecret, secret) {
			t.Fatalf("got %q, %q, %v", gotIndex, gotSecret, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	key, number, index, secret := store.Key{Manager: "shop"}, [16]byte{7}, make([]byte, 100), make([]byte, 200)
	stored := newSeal(key, number).close(1, index, secret)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := newSeal(key, number).open(1, stored); err != nil {
			b.Fatal(err)
		}
	}
}
