// Package cfblock reads the blocks of a Caddyfile: words with their arguments,
// each of which may be given once, and what was meant by one that is misspelt.
package cfblock
