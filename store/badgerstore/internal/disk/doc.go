// Package disk watches what Badger needs to write, and what it does not
// survive the want of: the directory that was opened, free space and inodes,
// file descriptors, and the pages of its logs, which are Allocated ahead. It
// also tells which process has a directory open, and which logs were in use.
package disk
