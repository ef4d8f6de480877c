package document

import "fmt"

// SplitList splits header field lines into the JSON texts that they hold.
// Several lines, and one line with commas between values, are the same list
// (RFC 9110 §5.6.1); empty elements are left out. It only splits: each text
// still has to pass its parser.
func SplitList(lines []string) ([][]byte, error) {
	var values [][]byte
	for _, line := range lines {
		start, depth, quoted := 0, 0, false
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				if depth--; depth < 0 {
					return nil, fmt.Errorf("%w: closing bracket at byte %d", ErrMalformed, i)
				}
			case c == ',' && depth == 0:
				values = appendValue(values, line[start:i])
				start = i + 1
			}
		}
		if quoted || depth > 0 {
			return nil, fmt.Errorf("%w: value does not end", ErrMalformed)
		}
		values = appendValue(values, line[start:])
	}
	return values, nil
}

func appendValue(values [][]byte, text string) [][]byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for len(text) > 0 && (text[len(text)-1] == ' ' || text[len(text)-1] == '\t') {
		text = text[:len(text)-1]
	}
	if text == "" {
		return values
	}
	return append(values, []byte(text))
}
