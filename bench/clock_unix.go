//go:build unix

package bench

import (
	"syscall"
	"time"
)

// CPUTime is what the process has used of all cores: the verifier's work and
// the garbage collector's after it, and nothing of the neighbors' on the
// machine.
func CPUTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // cannot fail for ourselves
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
