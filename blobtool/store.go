package blobtool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// blockBytes is what each file and folder counts as at least, so that a quota also bounds
// their number.
const blockBytes = 4 << 10

// store is how a set saves copies in a download folder.
type store struct {
	*account // once there is a folder
	found    sync.Once
	dir      string
	source   string // what is saved, as a name for files
	maxFile  int64
	maxUser  int64
	maxAll   int64
	maxAge   time.Duration
	now      func() time.Time

	due time.Time // when the next copies expire; guarded by account.mu
}

// userSpace is what the account has of one user.
type userSpace struct {
	sync.Mutex // held while the folder is measured or a file in it gets its name

	// The following is guarded by account.mu.
	tally
	reserved int64     // for downloads that are going on
	measured time.Time // when the folder was
}

// A refusal is a reason not to save a blob that the caller may read. It is no
// error: the call goes on.
type refusal struct {
	text  string // for the caller
	cause error  // for the log, may be nil
}

// newStore returns a store for the container at that URL.
func newStore(o Options, containerURL string) *store {
	return &store{source: sourceName(containerURL), dir: o.DownloadDir,
		maxFile: o.MaxFileBytes, maxUser: o.MaxUserBytes, maxAll: o.MaxTotalBytes, maxAge: o.MaxAge, now: o.Now}
}

// create begins the copy of a blob of that size.
func (st *store) create(ctx context.Context, userID, blobPath string, size int64) (*download, *refusal) {
	path, fault := localPath(blobPath, runtime.GOOS == "windows")
	if fault != "" {
		return nil, &refusal{text: "no copy can be saved under this blob's name: " + fault}
	}
	if size > st.maxFile {
		return nil, &refusal{text: fmt.Sprintf("the blob has %d bytes, and this server saves up to %d", size, st.maxFile)}
	}
	folder := userFolder(userID)
	root, within, err := st.openFolder(folder)
	if err != nil {
		return nil, diskRefusal(err)
	}
	st.found.Do(func() { st.account = accountOf(st.dir) })
	path = filepath.Join(within, path)
	d := &download{store: st, root: root, folder: folder, path: path, size: size, cost: cost(path, size)}
	if r := d.begin(ctx); r != nil {
		_ = root.Close()
		return nil, r
	}
	return d, nil
}

// ownMark is a folder that marks a user's folder as made by this package, if its name
// does not show that. Other folders may be the operator's: what is in them never
// expires.
const ownMark = partialPrefix + "owned"

// openFolder opens the folder of a user, and makes it if there is none. within is where in
// it the copies of this set are.
func (st *store) openFolder(name string) (root *os.Root, within string, err error) {
	if err := os.MkdirAll(st.dir, 0o700); err != nil {
		return nil, "", err
	}
	all, err := os.OpenRoot(st.dir)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = all.Close() }()
	if within, err = placeOf(all, st.source); err != nil {
		return nil, "", err
	}
	err = all.Mkdir(name, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, "", err
	}
	made := err == nil
	root, err = openPlain(all, name)
	if err == nil && made && !plainlyOurs.MatchString(name) {
		_ = root.Mkdir(ownMark, 0o700) // without it, the copies are kept
	}
	return root, within, err
}

// openPlain opens a folder, but not through a link, which would lead into another user's.
func openPlain(all *os.Root, name string) (*os.Root, error) {
	if info, err := all.Lstat(name); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("the folder of user %q is not a folder", name)
	}
	return all.OpenRoot(name)
}

// reserve takes the space for a download from what the user and all users may have. The
// path's present file does not count: it will be replaced.
func (st *store) reserve(ctx context.Context, d *download) *refusal {
	if err := st.expire(ctx); err != nil {
		return diskRefusal(err)
	}
	u := st.space(d.folder)
	for again := false; ; again = true {
		free, err := st.tryReserve(ctx, u, d)
		switch {
		case err != nil:
			return diskRefusal(err)
		case free.user < 0:
			return &refusal{text: fmt.Sprintf("the files saved for this user would take more than %d bytes", st.maxUser)}
		case free.all >= 0:
			return nil
		case again:
			return &refusal{text: "the download folder of this server is full"}
		}
		if err := st.makeRoom(ctx, -free.all); err != nil {
			return diskRefusal(err)
		}
	}
}

// room is what would be left for a user and for all after a download.
type room struct{ user, all int64 }

// tryReserve takes the space if there is enough. A user's account that says there is not
// is corrected first: files may have been removed.
func (st *store) tryReserve(ctx context.Context, u *userSpace, d *download) (room, error) {
	u.Lock()
	defer u.Unlock()
	replaced := d.replaced()
	if st.measured(u) {
		left := st.take(u, d.cost, replaced)
		if left.user >= 0 || !st.mayMeasure(u) {
			return left, nil
		}
	}
	t, err := st.walk(ctx, d.root, keepAll)
	if err != nil {
		return room{}, err
	}
	st.set(u, t)
	return st.take(u, d.cost, replaced), nil
}

// take reserves the space if there is enough.
func (st *store) take(u *userSpace, cost, replaced int64) room {
	st.mu.Lock()
	defer st.mu.Unlock()
	left := room{st.maxUser - (u.used - replaced + u.reserved + cost), st.maxAll - (st.total - replaced + cost)}
	if left.user >= 0 && left.all >= 0 {
		u.reserved += cost
		st.total += cost
	}
	return left
}

// release gives the space of a download back, and adds what it has left on the disk.
func (st *store) release(d *download, kept int64) {
	u := st.space(d.folder)
	st.mu.Lock()
	defer st.mu.Unlock()
	u.reserved -= d.cost
	u.used += kept
	st.total += kept - d.cost
	if kept > 0 {
		u.files++
	}
	if u.oldest.IsZero() {
		u.oldest = st.now()
	}
}

// add adds to what a user's files take.
func (st *store) add(u *userSpace, n int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	u.used += n
	st.total += n
}

func isPartial(path string) bool {
	return len(path) > len(partialPrefix) && path[:len(partialPrefix)] == partialPrefix
}

func newPartialName() string { return partialPrefix + rand.Text() }

// blocks rounds a size up to whole blocks, one at least.
func blocks(size int64) int64 { return max(1, (size+blockBytes-1)/blockBytes) * blockBytes }

// cost is the space that a file and its folders take at most.
func cost(path string, size int64) int64 {
	total := blocks(size)
	for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
		total += blockBytes
	}
	return total
}
