package store

// As returns what a store can do beyond Store: the store itself, or the first
// one within it that implements T. A store that wraps another one has a method
// Unwrap that returns it; so a wrapper need not repeat, and cannot hide, what the
// other one can do.
func As[T any](s Store) (feature T, ok bool) {
	for s != nil {
		if feature, ok = s.(T); ok {
			return feature, true
		}
		wrapper, wraps := s.(interface{ Unwrap() Store })
		if !wraps {
			break
		}
		s = wrapper.Unwrap()
	}
	return feature, false
}
