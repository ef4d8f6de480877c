package document

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

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
