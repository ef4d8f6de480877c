//go:build !unix

package main

import "io/fs"

// blocksOf returns how many blocks of 512 bytes a file takes.
func blocksOf(info fs.FileInfo) int64 { return (info.Size() + 511) / 512 }
