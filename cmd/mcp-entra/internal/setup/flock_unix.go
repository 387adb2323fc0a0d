//go:build unix

package setup

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the file's lock, which its closing and the end of the process give back. It reports
// false if another has it. File systems without locks have none to wait for.
func tryLock(file *os.File) bool {
	return !errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
