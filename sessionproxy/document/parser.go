package document

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// parser reads one JSON text and writes its compact form as it goes.
type parser struct {
	src      []byte
	at       int
	out      []byte
	max      int
	depth    int
	reserved bool // refuse names beginning with $ in the outermost object
}

func (p *parser) bad(reason string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrMalformed, reason, p.at)
}

// document reads an object and nothing after it.
func (p *parser) document() error {
	p.space()
	if p.peek() != '{' {
		return p.bad(`expected a JSON object such as {"n":1}`)
	}
	if err := p.value(); err != nil {
		return err
	}
	return p.end()
}

func (p *parser) end() error {
	if p.space(); p.at < len(p.src) {
		return p.bad("something follows the value")
	}
	return p.fits()
}

func (p *parser) fits() error {
	if p.max > 0 && len(p.out) > p.max {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, p.max)
	}
	return nil
}

// peek returns the next byte, or 0 at the end: no token begins with it.
func (p *parser) peek() byte {
	if p.at < len(p.src) {
		return p.src[p.at]
	}
	return 0
}

func (p *parser) space() {
	for p.at < len(p.src) {
		switch p.src[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) value() error {
	if err := p.fits(); err != nil {
		return err
	}
	switch c := p.peek(); c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		return p.str()
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return p.number()
		}
		return p.bad("expected a JSON value")
	}
}

func (p *parser) literal(word string) error {
	if len(p.src)-p.at < len(word) || string(p.src[p.at:p.at+len(word)]) != word {
		return p.bad("expected a JSON value")
	}
	p.at += len(word)
	p.out = append(p.out, word...)
	return nil
}

// open and next and close are what objects and arrays have in common.
func (p *parser) open() error {
	if p.depth++; p.depth > MaxDepth {
		return p.bad(fmt.Sprintf("nested deeper than %d", MaxDepth))
	}
	p.out = append(p.out, p.src[p.at])
	p.at++
	p.space()
	return nil
}

// next reads what follows an element, and reports whether another one comes.
func (p *parser) next(closer byte) (more bool, err error) {
	p.space()
	switch p.peek() {
	case ',':
		p.at++
		p.out = append(p.out, ',')
		p.space()
		return true, nil
	case closer:
		p.close(closer)
		return false, nil
	}
	return false, p.bad("expected a comma, or the end")
}

func (p *parser) close(closer byte) {
	p.at++
	p.depth--
	p.out = append(p.out, closer)
}

func (p *parser) array() error {
	if err := p.open(); err != nil {
		return err
	}
	if p.peek() == ']' {
		p.close(']')
		return nil
	}
	for more := true; more; {
		err := p.value()
		if err == nil {
			more, err = p.next(']')
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) object() error {
	if err := p.open(); err != nil {
		return err
	}
	if p.peek() == '}' {
		p.close('}')
		return nil
	}
	var names nameSet
	for more := true; more; {
		if p.peek() != '"' {
			return p.bad("expected a name in double quotes")
		}
		start := len(p.out)
		if err := p.str(); err != nil {
			return err
		}
		name := p.out[start:]
		if p.reserved && p.depth == 1 && len(name) > 2 && name[1] == '$' {
			return ErrReserved
		}
		if !names.add(p.out, start, len(p.out)) {
			return p.bad("duplicate name")
		}
		if p.space(); p.peek() != ':' {
			return p.bad("expected a colon after the name")
		}
		p.at++
		p.out = append(p.out, ':')
		p.space()
		err := p.value()
		if err == nil {
			more, err = p.next('}')
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// number reads RFC 8259 §6 and checks that a double can hold it.
func (p *parser) number() error {
	start := p.at
	digits := func() bool {
		from := p.at
		for '0' <= p.peek() && p.peek() <= '9' {
			p.at++
		}
		return p.at > from
	}
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if !digits() {
		return p.bad("expected a digit")
	}
	if p.peek() == '.' {
		if p.at++; !digits() {
			return p.bad("expected a digit")
		}
	}
	exponent := p.peek() == 'e' || p.peek() == 'E'
	if exponent {
		if p.at++; p.peek() == '+' || p.peek() == '-' {
			p.at++
		}
		if !digits() {
			return p.bad("expected a digit")
		}
	}
	text := p.src[start:p.at]
	if exponent || len(text) > 300 { // anything else is finite
		if _, err := strconv.ParseFloat(string(text), 64); err != nil {
			return p.bad("number is not finite as a double")
		}
	}
	p.out = append(p.out, text...)
	return nil
}

// str reads a string and writes it in its one spelling.
func (p *parser) str() error {
	p.at++
	p.out = append(p.out, '"')
	for {
		from := p.at
		for p.at < len(p.src) && plain(p.src[p.at]) {
			p.at++
		}
		p.out = append(p.out, p.src[from:p.at]...)
		switch c := p.peek(); {
		case p.at >= len(p.src):
			return p.bad("string does not end")
		case c == '"':
			p.at++
			p.out = append(p.out, '"')
			return nil
		case c == '\\':
			if err := p.escape(); err != nil {
				return err
			}
		case c < ' ':
			return p.bad("control character in a string")
		default:
			r, size := utf8.DecodeRune(p.src[p.at:])
			if r == utf8.RuneError && size <= 1 {
				return p.bad("not UTF-8; write other characters than ASCII as \\uXXXX")
			}
			p.at += size
			p.out = appendRune(p.out, r)
		}
	}
}

// escape reads one escape sequence, a surrogate pair as one.
func (p *parser) escape() error {
	p.at++
	c := p.peek()
	p.at++
	switch c {
	case '"', '\\', '/':
		p.out = appendRune(p.out, rune(c))
	case 'b':
		p.out = appendRune(p.out, '\b')
	case 'f':
		p.out = appendRune(p.out, '\f')
	case 'n':
		p.out = appendRune(p.out, '\n')
	case 'r':
		p.out = appendRune(p.out, '\r')
	case 't':
		p.out = appendRune(p.out, '\t')
	case 'u':
		r, ok := p.hex()
		if !ok {
			return p.bad("expected four hex digits")
		}
		if utf16.IsSurrogate(r) {
			low := rune(-1)
			if p.at+1 < len(p.src) && p.src[p.at] == '\\' && p.src[p.at+1] == 'u' {
				p.at += 2
				low, _ = p.hex()
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return p.bad("lone surrogate")
			}
		}
		p.out = appendRune(p.out, r)
	default:
		return p.bad("unknown escape")
	}
	return nil
}

func (p *parser) hex() (r rune, ok bool) {
	if len(p.src)-p.at < 4 {
		return -1, false
	}
	for _, c := range p.src[p.at : p.at+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1, false
		}
		r = r<<4 | rune(c)
	}
	p.at += 4
	return r, true
}
