// Package removefiles is the listener that removes the files of a session when
// it ends.
package removefiles
