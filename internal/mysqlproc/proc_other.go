//go:build !linux

package mysqlproc

import (
	"os"
	"os/exec"
)

// tie does nothing where the kernel cannot tie a child to its parent.
func tie(*exec.Cmd) {}

// lockFile says no: leftovers of killed runs are not removed here.
func lockFile(*os.File) bool { return false }
