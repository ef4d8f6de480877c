package keytext_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/internal/keytext"
)

func TestDecode(t *testing.T) {
	key := bytes.Repeat([]byte{0xfb, 0xff, 0x01, 0x7e}, 8)
	for _, text := range []string{
		hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)), " " + hex.EncodeToString(key) + "\r\n",
		base64.StdEncoding.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key),
		base64.URLEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
	} {
		if got, err := keytext.Decode(text, len(key)); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%q is %x, %v", text, got, err)
		}
	}
	// 32 hex digits are 24 bytes of base64, too.
	if got, err := keytext.Decode(strings.Repeat("ab", 16), 16, 24, 32); err != nil || len(got) != 16 {
		t.Errorf("what is both is %x, %v", got, err)
	}
	for _, text := range []string{"", "secret-text", hex.EncodeToString(key[1:]), hex.EncodeToString(key) + "00", "=" + hex.EncodeToString(key)} {
		got, err := keytext.Decode(text, 16, 24, 32)
		if err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Fatalf("%q is %x, %v", text, got, err)
		}
		if want := "it must be 16, 24 or 32 bytes as hex or base64; `openssl rand -hex 32` makes one"; err.Error() != want {
			t.Errorf("got %q", err)
		}
	}
}
