package document

import "errors"

// MaxDepth is how deep objects and arrays may be nested; the depth of {} is 1.
const MaxDepth = 32

// What a document is refused for; test with errors.Is. The texts tell the
// place and the reason, never the data.
var (
	// ErrMalformed: not I-JSON, or not of the expected kind.
	ErrMalformed = errors.New("malformed JSON")
	// ErrReserved: a name at the top level begins with '$'.
	ErrReserved = errors.New("names beginning with $ are reserved at the top level")
	// ErrTooLarge: the compact form is larger than allowed.
	ErrTooLarge = errors.New("document is too large")
	// ErrNotNumber: an addition to something that is not an integer.
	ErrNotNumber = errors.New("target of an addition is not an integer")
	// ErrNoPath: a place that is not there, or that nothing can be put at.
	ErrNoPath = errors.New("there is no such place in the document")
	// ErrTest: a test of a JSON Patch that failed.
	ErrTest = errors.New("a test of the JSON Patch failed")
	// ErrRange: an addition that leaves the integers exact in a double, ±2^53.
	ErrRange = errors.New("integer is beyond ±2^53")
)

// Parse checks a JSON object strictly and returns its compact form: no white
// space, one spelling for every string, everything but printable ASCII
// escaped, numbers with their text. It refuses duplicate names, lone
// surrogates, bytes that are not UTF-8, numbers that are not finite as IEEE
// doubles, more than MaxDepth levels, and reserved names. maxSize limits the
// compact form in bytes; zero means no limit. The result never aliases src.
func Parse(src []byte, maxSize int) ([]byte, error) {
	p := parser{src: src, out: make([]byte, 0, min(len(src), 1<<16)), max: maxSize, reserved: true}
	if err := p.document(); err != nil {
		return nil, err
	}
	return p.out, nil
}

// ParseValue is Parse for a JSON value of any kind. It stands below the top of
// a document, so no name is reserved.
func ParseValue(src []byte, maxSize int) ([]byte, error) {
	p := parser{src: src, out: make([]byte, 0, min(len(src), 1<<16)), max: maxSize}
	p.space()
	if err := p.value(); err != nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	return p.out, nil
}

// ParseString reads one JSON string and returns what it means.
func ParseString(src []byte) (string, error) {
	p := parser{src: src}
	p.space()
	if p.peek() != '"' {
		return "", p.bad(`expected a JSON string such as "alice"`)
	}
	if err := p.str(); err != nil {
		return "", err
	}
	if err := p.end(); err != nil {
		return "", err
	}
	return unquote(p.out), nil
}
