package store

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPrincipal is how long the name of a principal may be, in bytes.
const MaxPrincipal = 256

// CheckPrincipal returns an error if the name cannot be that of a principal.
func CheckPrincipal(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case len(name) > MaxPrincipal:
		return fmt.Errorf("is longer than %d bytes", MaxPrincipal)
	case !utf8.ValidString(name):
		return errors.New("is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("holds a control character")
	}
	return nil
}
