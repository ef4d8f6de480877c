package ticket

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func ring(t testing.TB, keys ...[]byte) *Ring {
	t.Helper()
	r, err := NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSignAndVerify(t *testing.T) {
	r := ring(t, NewKey())
	want := New()
	text := r.Sign("shop", want)
	if len(text) != Len || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		t.Fatalf("got %q", text)
	}
	got, err := r.Verify("shop", text)
	if err != nil || got != want {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	r := ring(t, NewKey())
	text := r.Sign("shop", New())
	for _, tc := range []struct {
		name, scope, text string
		want              error
	}{
		{"nothing", "shop", "", ErrMalformed},
		{"truncated", "shop", text[:Len-1], ErrMalformed},
		{"too long", "shop", text + "A", ErrMalformed},
		{"padded", "shop", text[:Len-1] + "=", ErrMalformed},
		{"the other alphabet", "shop", "+/" + text[2:], ErrMalformed},
		{"a line break inside", "shop", text[:10] + "\n" + text[11:], ErrMalformed},
		{"not ASCII", "shop", "é" + text[2:], ErrMalformed},
		{"another scope", "cart", text, ErrForged},
		{"a longer scope", "shopx", text, ErrForged},
		{"no scope", "", text, ErrForged},
		{"another ring", "shop", ring(t, NewKey()).Sign("shop", New()), ErrForged},
		{"zeros", "shop", strings.Repeat("A", Len), ErrForged},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := r.Verify(tc.scope, tc.text); !errors.Is(err, tc.want) || got != (Ticket{}) {
				t.Fatalf("got %v, %v", got, err)
			}
		})
	}
	t.Run("every flipped bit", func(t *testing.T) {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(raw) * 8 {
			raw[i/8] ^= 1 << (i % 8)
			if _, err := r.Verify("shop", base64.RawURLEncoding.EncodeToString(raw)); !errors.Is(err, ErrForged) {
				t.Fatalf("bit %d: %v", i, err)
			}
			raw[i/8] ^= 1 << (i % 8)
		}
	})
	t.Run("every other last character", func(t *testing.T) {
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-" {
			other := text[:Len-1] + string(c)
			if _, err := r.Verify("shop", other); (err == nil) != (other == text) {
				t.Fatalf("%q: %v", c, err)
			}
		}
	})
}

func TestKeysRotate(t *testing.T) {
	older, newer := NewKey(), NewKey()
	before, during, after := ring(t, older), ring(t, newer, older), ring(t, newer)
	old := before.Sign("shop", New())
	if _, err := during.Verify("shop", old); err != nil {
		t.Fatalf("a ticket of the older key: %v", err)
	}
	if _, err := after.Verify("shop", during.Sign("shop", New())); err != nil {
		t.Fatalf("the newest key does not sign: %v", err)
	}
	if _, err := after.Verify("shop", old); !errors.Is(err, ErrForged) {
		t.Fatalf("a ticket of a key that was dropped: %v", err)
	}
}

func TestNewRingRefuses(t *testing.T) {
	key := NewKey()
	for name, keys := range map[string][][]byte{
		"none": {}, "short": {key[:31]}, "long": {append(NewKey(), 0)}, "twice the same": {key, NewKey(), key},
	} {
		if _, err := NewRing(keys...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseKey(t *testing.T) {
	key := NewKey()
	key[0], key[1] = 0xfb, 0xff // so that the alphabets differ
	for name, text := range map[string]string{
		"hex": hex.EncodeToString(key), "upper-case hex": strings.ToUpper(hex.EncodeToString(key)),
		"base64": base64.StdEncoding.EncodeToString(key), "without padding": base64.RawStdEncoding.EncodeToString(key),
		"url": base64.URLEncoding.EncodeToString(key), "url without padding": base64.RawURLEncoding.EncodeToString(key),
		"with a newline": hex.EncodeToString(key) + "\n",
	} {
		if got, err := ParseKey(text); err != nil || string(got) != string(key) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "secret-secret", hex.EncodeToString(key[:31]), hex.EncodeToString(key) + "00"} {
		if _, err := ParseKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestIDTellsNothing(t *testing.T) {
	one := New()
	id := one.ID("shop")
	if id != one.ID("shop") || id != one.Rotate().ID("shop") {
		t.Fatal("the id is not stable")
	}
	if id == one.ID("cart") || id == New().ID("shop") || id == one.Number {
		t.Fatal("the id says something about another session, or the number")
	}
}

func FuzzVerify(f *testing.F) {
	key := make([]byte, KeyLen)
	r := ring(f, key)
	genuine := r.Sign("shop", Ticket{})
	f.Add("shop", genuine)
	f.Add("cart", genuine)
	f.Add("", strings.Repeat("_", Len))
	f.Fuzz(func(t *testing.T, scope, text string) {
		got, err := r.Verify(scope, text)
		if err == nil && r.Sign(scope, got) != text {
			t.Fatalf("%q is not what the ring signs", text)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r := ring(b, NewKey(), NewKey())
	text := r.Sign("shop", New())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Verify("shop", text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	r := ring(b, NewKey())
	t := New()
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Sign("shop", t)
	}
}
