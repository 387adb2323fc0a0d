package copies

import (
	"errors"
	"os"
	"syscall"
)

// keepSize is FALLOC_FL_KEEP_SIZE of fallocate(2): the file grows as it is written.
const keepSize = 1

// allocate reserves the space for a file: a disk that is too small says so before
// the blob is fetched, and giving the complete file its name need not wait for the
// blocks to be found. Where the file system can't reserve, nothing is lost.
func allocate(f *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil //nolint:nilerr // then the writes will say it
	}
	var full error
	_ = raw.Control(func(fd uintptr) {
		if err := syscall.Fallocate(int(fd), keepSize, 0, size); errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EFBIG) {
			full = err
		}
	})
	return full
}
