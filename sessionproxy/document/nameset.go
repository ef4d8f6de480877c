package document

import "bytes"

// nameSet finds duplicate names of one object. The names stand in a buffer
// that may still move, so it keeps places, not slices. Few names are compared
// one by one; many go through a map, so that an object of a million names
// costs no square of that.
type nameSet struct {
	first [8][2]int
	n     int
	many  map[string]struct{}
}

// add reports false if the name buf[from:to] was there already.
func (s *nameSet) add(buf []byte, from, to int) bool {
	name := buf[from:to]
	if s.many != nil {
		if _, there := s.many[string(name)]; there {
			return false
		}
		s.many[string(name)] = struct{}{}
		return true
	}
	for _, at := range s.first[:s.n] {
		if bytes.Equal(buf[at[0]:at[1]], name) {
			return false
		}
	}
	if s.n < len(s.first) {
		s.first[s.n] = [2]int{from, to}
		s.n++
		return true
	}
	s.many = make(map[string]struct{}, 4*len(s.first))
	for _, at := range s.first {
		s.many[string(buf[at[0]:at[1]])] = struct{}{}
	}
	s.many[string(name)] = struct{}{}
	return true
}
