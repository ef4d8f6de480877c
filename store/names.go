package store

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckListener tells what makes a text no name of a listener, as it is filed
// with an Event.
func CheckListener(name string) error {
	switch {
	case name == "":
		return errors.New("its listener has no name")
	case !utf8.ValidString(name):
		return errors.New("the name of its listener is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name of its listener holds a control character")
	}
	return nil
}

// CheckDeliveryError tells what makes a text no reason of a failure, as it is
// kept of a Settlement.
func CheckDeliveryError(text string) error {
	switch {
	case len(text) > MaxDeliveryError:
		return errors.New("the reason of its failure is too long")
	case !utf8.ValidString(text):
		return errors.New("the reason of its failure is not UTF-8")
	}
	return nil
}
