package cfblock

// SetDefault gives a field a value unless it has one.
func SetDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}
