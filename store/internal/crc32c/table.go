// Package crc32c has the checksum of all that is stored: in records, backups
// and the engine's own files.
package crc32c

import "hash/crc32"

// Table is the one that makes a CRC32 a CRC32C.
var Table = crc32.MakeTable(crc32.Castagnoli)
