//go:build !linux

package main

import (
	"errors"
	"syscall"
)

var errLinux = errors.New("this needs Linux")

func childAttributes() *syscall.SysProcAttr             { return nil }
func mountDisk(string, int) (unmount func(), err error) { return nil, errLinux }
func fillDisk(string) (remove func(), err error)        { return nil, errLinux }
func limitFiles(int, int) (restore func(), err error)   { return nil, errLinux }
func residentMiB(int) int                               { return 0 }
