package document

import (
	"fmt"
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
