package document

// Merge unites two documents that both began as base: what each side changed
// is in the result. It reports false if both sides changed one place
// differently: the same leaf, an array, or one side what the other removed.
// The same change on both sides is no conflict. All three are compact.
func Merge(base, ours, theirs []byte) (merged []byte, ok bool) {
	mine := Diff(base, ours)
	if mine.Overlaps(Diff(base, theirs)) {
		return nil, false
	}
	return mine.Apply(theirs), true
}
