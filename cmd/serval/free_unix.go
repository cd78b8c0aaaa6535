//go:build linux || darwin

package main

import "syscall"

// freeBytes is how much an ordinary user may still write to the disk of a
// folder, -1 where that is not known.
func freeBytes(folder string) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(folder, &st); err != nil {
		return -1
	}
	return int64(st.Bavail) * int64(st.Bsize) //nolint:gosec,unconvert // differs by platform; no disk has 2^63 bytes
}
