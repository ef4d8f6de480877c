package cfblock

import (
	"fmt"
	"maps"
	"slices"
)

// didYouMean returns a hint at the word that is closest to a misspelt one, or
// nothing if none is close.
func didYouMean[V any](word string, words map[string]V) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, w := range slices.Sorted(maps.Keys(words)) {
		if d := distance(word, w); d < least {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean '%s'?", best)
}

// distance returns how many bytes have to be inserted, removed, replaced or
// swapped with their neighbour to make one word from another.
func distance(a, b string) int {
	var before []int // the row above the last one
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
