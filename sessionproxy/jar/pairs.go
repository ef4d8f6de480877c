package jar

import (
	"iter"
	"strings"
)

// The bounds of what is read of a browser's Cookie lines.
const (
	maxPairs     = 200
	maxPairsSize = 64 << 10
)

// pair is a cookie as a browser sends it.
type pair struct {
	name, value string
	excess      bool // beyond the bounds
}

// pairs returns the cookies of a browser's Cookie lines in their order.
func pairs(lines []string) iter.Seq[pair] {
	return func(yield func(pair) bool) {
		count, size := 0, 0
		for _, line := range lines {
			for line != "" {
				var p string
				p, line, _ = strings.Cut(line, ";")
				if p = trim(p); p == "" || p == "=" {
					continue
				}
				count, size = count+1, size+len(p)
				name, value := cutPair(p)
				excess := count > maxPairs || size > maxPairsSize || len(name)+len(value) > maxCookieSize || hasControl(p)
				if !yield(pair{name, value, excess}) {
					return
				}
			}
		}
	}
}

// appendPair adds a cookie to a Cookie line.
func appendPair(line []byte, name, value string) []byte {
	if len(line) > 0 {
		line = append(line, "; "...)
	}
	if name != "" {
		line = append(append(line, name...), '=')
	}
	return append(line, value...)
}
