//go:build !unix

package bench

import "time"

var started = time.Now()

// cpuTime is wall time where the process's CPU time is not to be had.
func cpuTime() time.Duration { return time.Since(started) }
