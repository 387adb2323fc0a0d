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

// An account tracks the contents of a download folder. All sets of the process that save there
// share it, so two sets don't give a user twice the space. It counts the folder once, then tracks
// changes, and counts again when it seems full.
type account struct {
	// sweeping is held while a call walks all folders. Lock order: sweeping, then a user's mutex,
	// then mu.
	sweeping sync.Mutex

	mu      sync.Mutex
	users   map[string]*userSpace // by folder
	total   int64                 // of all users, including reserved space
	counted time.Time             // last full count; zero if there was none
	tried   time.Time             // last failure to make room
}

// accounts holds each folder's account while a set uses it.
var accounts struct {
	sync.Mutex
	byFolder map[string]weak.Pointer[account]
}

// accountOf returns the account of an existing folder, however its path is spelled.
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

// space returns the account's data for a user.
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
	// firstMark is a folder in a download folder. It contains one folder, named after the source
	// that was saved first; copies of that source have plain paths.
	firstMark = ".container"
	// sourcePrefix begins the names of the folders for copies of other sources, inside users'
	// folders. No saved blob has such a name.
	sourcePrefix = ".container-"
)

var notForNames = regexp.MustCompile(`[^a-z0-9.$-]+`)

// sourceName returns a name for the container at the URL: container@account.
func sourceName(containerURL string) string {
	account := strings.TrimPrefix(containerURL, "https://")
	i := strings.LastIndexByte(account, '/')
	return account[i+1:] + "@" + notForNames.ReplaceAllString(account[:i], "_")
}

// placeOf returns where in users' folders a source's copies go. Two containers may have blobs with
// the same name.
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
		if all.Rename(mark, firstMark) == nil { // fails if another source was first
			return "", nil
		}
		_ = all.RemoveAll(mark)
	}
	return sourcePrefix + source, nil
}
