// Package memory is the store module that keeps sessions in memory, for
// development and demos.
package memory
