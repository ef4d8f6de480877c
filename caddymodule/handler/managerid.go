package handler

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

var errNoSite = errors.New("the site of this session cannot be told; give the session a name: session <name>")

// siteKeys returns the addresses of the site that a directive stands in, as
// they are written.
//
// Caddy gives them to its own directives only: they are in an unexported field
// of the helper, so they are read by reflection. Should a version of Caddy
// move them, this is an error that asks for a name, and never another id.
func siteKeys(h httpcaddyfile.Helper) (keys []string, err error) {
	block := reflect.ValueOf(h).FieldByName("parentBlock")
	if !block.IsValid() || block.Kind() != reflect.Struct {
		return nil, errNoSite
	}
	tokens := block.FieldByName("Keys")
	if !tokens.IsValid() || tokens.Kind() != reflect.Slice {
		return nil, errNoSite
	}
	for i := range tokens.Len() {
		token := tokens.Index(i)
		if token.Kind() != reflect.Struct {
			return nil, errNoSite
		}
		text := token.FieldByName("Text")
		if !text.IsValid() || text.Kind() != reflect.String {
			return nil, errNoSite
		}
		keys = append(keys, text.String())
	}
	if len(keys) == 0 {
		return nil, errNoSite
	}
	return keys, nil
}

// managerID derives the id of an unnamed session's manager from the site's
// first address: host and port, so that neither the file's name nor the way
// of loading it matters. Different addresses have different ids.
func managerID(siteAddress string) (string, error) {
	address, err := httpcaddyfile.ParseAddress(siteAddress)
	if err != nil {
		return "", fmt.Errorf("reading site address %q: %w", siteAddress, err)
	}
	address = address.Normalize()
	port := address.Port
	switch {
	case port == "" && address.Scheme == "http":
		port = "80"
	case port == "443":
		port = "" // the default is left out
	}
	plain := address.Host
	if port != "" {
		plain += ":" + port
	}
	id := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '.', r == '-':
			return r
		}
		return '_'
	}, plain)
	// An underscore stands for the one colon before the port. Whatever else
	// was replaced could be the same as in another address.
	const longest, suffix = 64, 1 + 8
	if strings.Count(id, "_") > strings.Count(plain[len(address.Host):], ":") || len(id) > longest || id == "" {
		sum := sha256.Sum256([]byte(plain))
		id = id[:min(len(id), longest-suffix)] + "-" + hex.EncodeToString(sum[:4])
	}
	return id, nil
}
