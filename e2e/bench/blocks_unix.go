//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// blocksOf returns how many blocks of 512 bytes a file takes.
func blocksOf(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks
	}
	return (info.Size() + 511) / 512
}
