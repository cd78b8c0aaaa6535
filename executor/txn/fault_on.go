//go:build fault

package txn

import (
	"os"
	"syscall"
)

// fault ends the process as a crash would when it comes to the point that
// SERVAL_FAULT names. Only in binaries built with the tag fault, for the
// checker in integration.
func fault(point string) {
	if os.Getenv("SERVAL_FAULT") == point {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
