package blobtool

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

// Defaults of [WriteOptions].
const (
	DefaultMaxWriteBytes  = maxInline
	DefaultMaxCopyBytes   = 1 << 30
	DefaultUserPerMinute  = 60
	DefaultTotalPerMinute = 1200
)

// maxInline limits the content that a call brings or edits, in bytes.
const maxInline = 1 << 20

// WriteOptions turns on the tools that write. They act with the signed-in user's permissions (role
// Storage Blob Data Contributor, and Owner for tags), within these bounds.
type WriteOptions struct {
	// Allow is what may be written, in the form of [Options.Allow], which also applies. It must
	// have an entry, such as the name of a container. The containers $web, $root and $logs, like
	// all others, must be named.
	Allow []string

	// Extensions are the extensions that names of blobs must have, such as ".txt". Case does not
	// matter. Defaults to any.
	Extensions []string

	// ContentTypes are the media types that may be written, such as text/plain or image/*. Types
	// whose content a reader's program may run (HTML, XML, SVG, JavaScript, multipart) are allowed
	// only if named in full. Defaults to all others.
	ContentTypes []string

	// MaxBytes is the size of the largest blob that write_blob makes and append_blob extends, up to
	// 1 GiB. A call brings at most 1 MiB of content; if MaxBytes is more, write_blob also takes
	// larger content in pieces. Edits are limited to 1 MiB in any case. Defaults to 1 MiB.
	MaxBytes int64

	// MaxCopyBytes is the size of the largest blob that copy_blob and undelete_blob copy. Content
	// that is copied does not pass through this server, and costs storage. Defaults to 1 GiB.
	MaxCopyBytes int64

	// UserPerMinute is how many writes a minute each user may make on this server, and
	// TotalPerMinute is the number for all users; beyond it, those wait who have had more than
	// their share of it. Refused calls count if Azure was asked, and a copy counts as one write for
	// each 64 MiB.
	// -1 turns a bound off. They default to 60 and 1,200.
	UserPerMinute, TotalPerMinute int

	// Confirm decides on calls that destroy something: overwriting, editing and deleting, and
	// replacing or removing metadata or tags. It is called last, after all checks and within the
	// call's time, with what is about to happen; false or an error refuses the call. If the client
	// can show its user a form (elicitation), the user is asked first, a no refuses the call, and
	// after a yes [Question.Agreed] is true. A client may answer without asking its user, so
	// Confirm decides last. If nil, a user's yes is enough; if the client can't ask, calls that
	// must quote what they replace are allowed (edits, metadata and tags), and overwriting and
	// deleting are refused.
	Confirm ConfirmFunc

	// StateKeys, 32 random bytes each, seal what a client sends back: the handle of an upload, and
	// the state of a confirmation. All replicas need the same keys, which may be those of
	// mcpentra.WithStateKeys: the first seals, all open. To rotate keys, add the new key second
	// everywhere, then move it first, then remove the old key. Defaults to a random key, so that
	// handles and states are valid only on this replica, and only until it stops.
	StateKeys [][]byte
}

// ConfirmFunc is the type of [WriteOptions.Confirm].
type ConfirmFunc = func(context.Context, Question) (bool, error)

// writing is a set's parsed [WriteOptions].
type writing struct {
	allow      allowList
	extensions []string // nil: any
	types      properties.ContentTypes
	maxBytes   int64
	maxCopy    int64
	rates      *writeRates
	confirm    ConfirmFunc
	keys       [][]byte // valid
	uploads    *uploads
	asker      *asker

	onePut, copiedBlock int64 // of copies: the largest in one request, and the size of blocks
}

// inline is the size of the largest content that a call brings or edits.
func (w *writing) inline() int64 { return min(w.maxBytes, maxInline) }

// inPieces reports whether content may come in pieces.
func (w *writing) inPieces() bool { return w.maxBytes > maxInline }

var extensionForm = regexp.MustCompile(`^\.[^./\\*\s]+$`)

// newWriting parses the options of a set for one container, or for an account if only is empty.
func newWriting(only string, o WriteOptions, now func() time.Time) (*writing, []error) {
	w := &writing{confirm: o.Confirm, maxBytes: o.MaxBytes, maxCopy: o.MaxCopyBytes, onePut: maxPutFromURL, copiedBlock: copiedBlock}
	var errs []error
	report := func(field string, err error) { errs = append(errs, configurationError("Options.Write."+field, err)) }
	var faults []error
	if w.allow, faults = parseAllow("Options.Write.Allow", only, o.Allow); len(o.Allow) == 0 {
		report("Allow", errors.New("is empty; name what may be written, such as a container or container/folder/"))
	}
	errs = append(errs, faults...)
	for i, extension := range o.Extensions {
		if !extensionForm.MatchString(extension) {
			report(fmt.Sprintf("Extensions[%d]", i), errors.New("is "+quote(extension)+"; use a dot and the last part of names, such as .txt"))
		}
		w.extensions = append(w.extensions, strings.ToLower(extension))
	}
	var wrong map[int]error
	w.types, wrong = properties.ParseContentTypes(o.ContentTypes)
	for i := range o.ContentTypes {
		if err := wrong[i]; err != nil {
			report(fmt.Sprintf("ContentTypes[%d]", i), err)
		}
	}
	if w.maxBytes == 0 {
		w.maxBytes = DefaultMaxWriteBytes
	}
	if w.maxBytes < 0 || w.maxBytes > maxUploadBytes {
		report("MaxBytes", fmt.Errorf("is %d; it must be from 1 to %d, or 0 for the default", o.MaxBytes, maxUploadBytes))
	}
	if w.maxCopy == 0 {
		w.maxCopy = DefaultMaxCopyBytes
	}
	if w.maxCopy < 0 {
		report("MaxCopyBytes", fmt.Errorf("is %d; it must be positive, or 0 for the default", o.MaxCopyBytes))
	}
	rate := func(field string, n, byDefault int) int {
		if n < -1 {
			report(field, fmt.Errorf("is %d; it must be positive, 0 for the default, or -1 for no bound", n))
		}
		if n == 0 {
			return byDefault
		}
		return n
	}
	var err error
	if w.keys, err = stateKeys(o.StateKeys); err != nil {
		report("StateKeys:", err)
	}
	w.uploads = newUploads(w.sealer("blobtool upload"), now)
	w.asker = newAsker(w.sealer(questionPurpose), now)
	w.rates = newWriteRates(rate("UserPerMinute", o.UserPerMinute, DefaultUserPerMinute), rate("TotalPerMinute", o.TotalPerMinute, DefaultTotalPerMinute), now)
	return w, errs
}

// stateKeys returns valid keys for sealers.
func stateKeys(keys [][]byte) ([][]byte, error) {
	if len(keys) == 0 {
		random := make([]byte, 32)
		_, _ = rand.Read(random) // never fails
		return [][]byte{random}, nil
	}
	if _, err := seal.New("check", keys); err != nil {
		return nil, err
	}
	own := make([][]byte, len(keys))
	for i, key := range keys {
		own[i] = bytes.Clone(key)
	}
	return own, nil
}

// sealer returns the sealer for a purpose, a constant that is unique in this module. It derives
// keys, so make it once, when the set is made.
func (w *writing) sealer(purpose string) *seal.Sealer {
	s, _ := seal.New(purpose, w.keys) // the keys are valid
	return s
}

// may returns why a blob may not be written.
func (w *writing) may(at names.Location) error {
	if !w.allow.blob(at) {
		return w.allow.outside(at, "what this server may write")
	}
	if len(w.extensions) > 0 && !slices.Contains(w.extensions, strings.ToLower(path.Ext(at.Blob))) {
		return failuref(ErrNotAllowed, "This server writes only blobs whose names end with %s; blob_path is %s.", strings.Join(w.extensions, ", "), quote(at.Blob))
	}
	return nil
}

// locateToWrite returns the location of a blob that a call may write, as far as this server
// decides.
func (s *Set) locateToWrite(ctx context.Context, container, path string) (names.Location, error) {
	at, err := s.locateNamed(ctx, container, path)
	if err != nil {
		return at, err
	}
	if err := s.writing.may(at); err != nil {
		return at, err
	}
	return at, runOf(ctx).begin(at)
}
