// Package store is persistence without policy: it keeps one [Record] per
// [Key] and offers one conditional write. What a conflict means, how long a
// session lives and which request may write is decided above it.
package store
