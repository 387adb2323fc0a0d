//go:build !unix

package bench

import "time"

var started = time.Now()

// CPUTime is wall time where the process's CPU time is not to be had.
func CPUTime() time.Duration { return time.Since(started) }
