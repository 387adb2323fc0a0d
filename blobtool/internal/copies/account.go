package copies

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
	"weak"
)

// account is what a download folder holds, for all sets of the process that save there: so
// two sets do not let a user have twice the space. What is there is counted once, then
// what changes, and again where the account says that it is full.
type account struct {
	// sweeping is held while all folders are gone through; it is locked before the
	// mutex of a user, and that before mu.
	sweeping sync.Mutex

	mu      sync.Mutex
	users   map[string]*userSpace // by folder
	total   int64                 // of all users, reserved space included
	counted time.Time             // when all was counted; zero: not yet
	tried   time.Time             // when room could not be made
}

// accounts has the account of each folder for as long as a set uses it.
var accounts struct {
	sync.Mutex
	byFolder map[string]weak.Pointer[account]
}

// accountOf returns the account of a folder that is there, however it is spelled.
func accountOf(dir string) *account {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if found, err := filepath.EvalSymlinks(dir); err == nil {
		dir = found
	}
	accounts.Lock()
	defer accounts.Unlock()
	if a := accounts.byFolder[dir].Value(); a != nil {
		return a
	}
	a := &account{users: map[string]*userSpace{}}
	if accounts.byFolder == nil {
		accounts.byFolder = map[string]weak.Pointer[account]{}
	}
	accounts.byFolder[dir] = weak.Make(a)
	runtime.AddCleanup(a, func(dir string) {
		accounts.Lock()
		defer accounts.Unlock()
		if accounts.byFolder[dir].Value() == nil {
			delete(accounts.byFolder, dir)
		}
	}, dir)
	return a
}

// space returns what the account has of a user.
func (a *account) space(folder string) *userSpace {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.users[folder]
	if u == nil {
		u = &userSpace{}
		a.users[folder] = u
	}
	return u
}

const (
	// firstMark is a folder in a download folder, with one in it that has the name of
	// the source whose copies have the plain paths: that which was first to be saved.
	firstMark = ".container"
	// sourcePrefix begins the names of folders in users' folders that have the copies of
	// other sources. No saved blob has such a name.
	sourcePrefix = ".container-"
)

var notForNames = regexp.MustCompile(`[^a-z0-9.$-]+`)

// sourceName returns a name for the container at that URL: container@account.
func sourceName(containerURL string) string {
	account := strings.TrimPrefix(containerURL, "https://")
	i := strings.LastIndexByte(account, '/')
	return account[i+1:] + "@" + notForNames.ReplaceAllString(account[:i], "_")
}

// placeOf returns where in the users' folders the copies of a source are: two containers
// may have blobs of the same name.
func placeOf(all *os.Root, source string) (string, error) {
	for range 2 {
		if first, err := fs.ReadDir(all.FS(), firstMark); err == nil && len(first) > 0 {
			if first[0].Name() == source {
				return "", nil
			}
			break
		}
		mark := newPartialName()
		if err := all.MkdirAll(filepath.Join(mark, source), 0o700); err != nil {
			return "", err
		}
		if all.Rename(mark, firstMark) == nil { // fails if another was first
			return "", nil
		}
		_ = all.RemoveAll(mark)
	}
	return sourcePrefix + source, nil
}
