package calls

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what the process has used of all cores, of the threads that have
// ended too, by the scheduler's clock: that of clock_getcpuclockid(3).
func (p *Process) cpuTime() (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|scheduler), &ts); err != nil { //nolint:gosec // G115: as the kernel packs it
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}
