//go:build fault

package txn

import (
	"os"
	"strings"
	"syscall"
	"time"
)

// fault ends the process as a crash would when it comes to the point that
// SERVAL_FAULT names. With a file's name behind it ("prepared:/tmp/x") it makes
// that file there and waits until it is gone. Only in binaries built with the
// tag fault, for the checker in integration.
func fault(point string) {
	at, file, wait := strings.Cut(os.Getenv("SERVAL_FAULT"), ":")
	if at != point {
		return
	}
	if !wait {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	f, err := os.OpenFile(file+".met", os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return // another transaction is held there, or was
	}
	_ = f.Close()
	_ = os.WriteFile(file, nil, 0o600)
	for {
		if _, err := os.Stat(file); err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
