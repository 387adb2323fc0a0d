//go:build !linux

package calls

import (
	"errors"
	"time"
)

func (*Process) cpuTime() (time.Duration, error) {
	return 0, errors.New("another process's CPU time is not to be had here")
}
