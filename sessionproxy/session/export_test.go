package session

// ReworkAfterBound returns what the store's writer would have to do to make
// the changes again on data of that size, once they are bounded, and the bound.
func ReworkAfterBound(c Changes, shown []byte) (rework, bound int, err error) {
	err = c.boundRework(shown, 1<<20)
	return c.rework(len(shown)), maxRework, err
}
