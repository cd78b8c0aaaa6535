package mysqlproc

import (
	"os"
	"os/exec"
	"syscall"
)

// tie makes the kernel end the child when the thread that started it ends,
// and keeps a terminal's Ctrl-C from it: who started it stops it, in order.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// lockFile takes the file's lock if nobody has it. The kernel drops it with
// the last descriptor, also of a killed process.
func lockFile(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
