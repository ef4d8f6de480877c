package ticket

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestBearer(t *testing.T) {
	r := ring(t, NewKey())
	own := r.Sign("shop", New())
	two := r.Sign("cart", New())
	foreign := ring(t, NewKey()).Sign("shop", New())
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
	for _, tc := range []struct {
		name  string
		lines []string
		read  []string // those that are ours, and wishes
		left  []string // for the app
	}{
		{"none", nil, nil, nil},
		{"a ticket", []string{"Bearer " + own}, []string{own}, nil},
		{"in other case", []string{"bEARER " + own}, []string{own}, nil},
		{"with more blanks", []string{"Bearer \t " + own + " \t"}, []string{own}, nil},
		{"twice", []string{"Bearer " + own, "Bearer " + own}, []string{own}, nil},
		{"two tickets", []string{"Bearer " + own, "bearer " + two}, []string{own, two}, nil},
		{"two tickets in a list", []string{"Bearer " + own + ", Bearer " + two}, []string{own, two}, nil},
		{"beside another scheme", []string{"Basic YTpi", "Bearer " + own}, []string{own}, []string{"Basic YTpi"}},
		{"beside another scheme, in a list", []string{"Basic YTpi,Bearer " + own}, []string{own}, []string{"Basic YTpi"}},
		{"a foreign token", []string{"Bearer " + jwt}, nil, []string{"Bearer " + jwt}},
		{"a foreign token of the length of a ticket", []string{"Bearer " + foreign}, nil, []string{"Bearer " + foreign}},
		{"another scheme", []string{`Digest username="a, b", nonce="x"`}, nil, []string{`Digest username="a, b", nonce="x"`}},
		{"a wish", []string{"Bearer"}, []string{""}, []string{"Bearer"}},
		{"a wish with a blank", []string{"bearer "}, []string{""}, []string{"bearer "}},
		{"without a blank", []string{"Bearer" + own[:Len-6]}, nil, []string{"Bearer" + own[:Len-6]}},
		{"too long", []string{"Bearer " + own + "A"}, nil, nil},
		{"truncated", []string{"Bearer " + own[:Len-1]}, nil, []string{"Bearer " + own[:Len-1]}},
		{"padded", []string{"Bearer " + own + "="}, nil, nil},
		// Not read, since only clients in error send them; but no app may see
		// the ticket either.
		{"quoted", []string{`Bearer "` + own + `"`}, nil, nil},
		{"as a parameter", []string{"Token token=" + own}, nil, nil},
		{"under another scheme", []string{"Basic " + own}, nil, nil},
		{"behind another word", []string{"Bearer x " + own}, nil, nil},
		{"without scheme", []string{own}, nil, nil},
		{"as the second of a list", []string{"Bearer " + jwt + ", " + own}, nil, []string{"Bearer " + jwt}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{"Authorization": slices.Clone(tc.lines)}
			if tc.lines == nil {
				h = http.Header{}
			}
			var read []string
			for _, v := range (Bearer{}).Extract(h, false, Names{}) {
				if v == "" || (Bearer{}).Claims(r, v) {
					read = append(read, v)
				}
			}
			if !slices.Equal(read, tc.read) {
				t.Errorf("read %q", read)
			}
			n := StripTickets(h, r)
			if !slices.Equal(h["Authorization"], tc.left) || (n > 0) == slices.Equal(tc.lines, tc.left) {
				t.Errorf("%d removed, left %q", n, h["Authorization"])
			}
			if _, there := h["Authorization"]; there != (tc.left != nil) {
				t.Error("an empty header is left")
			}
		})
	}
	t.Run("without a ring", func(t *testing.T) {
		h := http.Header{"Authorization": {"Bearer " + foreign, "Bearer " + jwt}}
		if StripTickets(h, nil); !slices.Equal(h["Authorization"], []string{"Bearer " + jwt}) {
			t.Fatalf("left %q", h["Authorization"])
		}
	})
}

func TestKnows(t *testing.T) {
	older, newer := NewKey(), NewKey()
	text := ring(t, older).Sign("shop", New())
	if !ring(t, newer, older).HasKeyOf(text) || ring(t, newer).HasKeyOf(text) {
		t.Fatal("the key id does not decide")
	}
	forged := text[:Len-1] + "A"
	if r := ring(t, older); !r.HasKeyOf(forged) || r.HasKeyOf(text[:Len-1]) || r.HasKeyOf(text+"A") || r.HasKeyOf("=======") || r.HasKeyOf(strings.Repeat("=", Len)) {
		t.Fatal("the form does not decide")
	}
}

// Whatever reader an app has, it finds no ticket in what is left, and finds the
// rest as it was.
func FuzzStripTickets(f *testing.F) {
	r := ring(f, make([]byte, KeyLen))
	own := r.Sign("shop", Ticket{})
	f.Add("Bearer ", "", "Basic YTpi")
	f.Add("Digest a=\"", "\", b=c", "")
	f.Add("bearer,\t", ",,", "Bearer")
	f.Add("x", "=", ",")
	f.Fuzz(func(t *testing.T, before, after, other string) {
		h := http.Header{"Authorization": {before + own + after, other}}
		StripTickets(h, r)
		for _, line := range h["Authorization"] {
			for _, word := range strings.FieldsFunc(line, func(c rune) bool { return c >= 0x80 || !isTicketByte[byte(c)] }) {
				if r.HasKeyOf(word) {
					t.Fatalf("%q is left", line)
				}
			}
		}
		if !strings.Contains(other, own[:8]) && (len(h["Authorization"]) == 0 || h["Authorization"][len(h["Authorization"])-1] != other) {
			t.Fatalf("%q became %q", other, h["Authorization"])
		}
		for _, v := range (Bearer{}).Extract(http.Header{"Authorization": {before + own + after, other}}, false, Names{}) {
			if v != "" && len(v) != Len {
				t.Fatalf("read %q", v)
			}
		}
	})
}
