package blobtool

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/upload"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

// Bounds of uploads in pieces.
const (
	maxUploadBytes = 1 << 30
	maxPieces      = 10_000 // Azure allows 50,000 blocks
	uploadLifetime = 24 * time.Hour
	maxUploads     = 4               // of a user, at a time
	uploadIdle     = 5 * time.Minute // without a piece, an upload is not counted
	maxHandle      = 128 << 10       // characters; most of them metadata, which JSON may lengthen
)

// uploads is what a set knows about uploads in pieces. The rest is in the handles that clients send
// back, so that any replica with the same keys can go on. Only the number of a user's uploads is
// counted in memory: each replica counts those of which it has seen a piece lately.
type uploads struct {
	sealer *seal.Sealer
	place  string // the account
	now    func() time.Time

	mu    sync.Mutex
	users map[string]map[string]time.Time // when a piece came last, by user and blob: of two uploads to one blob, only one can end
}

func newUploads(sealer *seal.Sealer, now func() time.Time) *uploads {
	return &uploads{sealer: sealer, now: now, users: map[string]map[string]time.Time{}}
}

// ownerOf is who uploads to a blob.
func ownerOf(user string, at names.Location) upload.Owner {
	return upload.Owner{User: user, Container: at.Container, Blob: at.Blob}
}

// sealedFor is the name under which a handle is sealed. URLs and names in Azure have no line feeds.
func (u *uploads) sealedFor(o upload.Owner) string {
	return o.User + "\n" + u.place + "\n" + o.Container + "\n" + o.Blob
}

// handle returns the handle of an upload.
func (u *uploads) handle(o upload.Owner, state *upload.State) string {
	return u.sealer.SealText(state.Encode(), u.sealedFor(o))
}

// open returns the upload of a handle.
func (u *uploads) open(o upload.Owner, handle string) (upload.State, error) {
	plain, err := []byte(nil), seal.ErrMalformed
	if len(handle) <= maxHandle {
		plain, err = u.sealer.OpenText(handle, u.sealedFor(o))
	}
	if err != nil {
		return upload.State{}, &Error{Kind: ErrInvalidArgument, cause: err, text: "upload is not valid here: it was not copied exactly from the previous piece's result, is for another user or blob, " +
			"or this server was restarted since. Nothing was changed. Copy it again, or start again with the first piece and without upload."}
	}
	state, err := upload.Parse(plain)
	if err != nil {
		return upload.State{}, &Error{Kind: ErrInvalidArgument, cause: err, text: "upload is from another version of this server. Nothing was changed. Start again with the first piece and without upload."}
	}
	if !u.now().Before(state.Begun.Add(uploadLifetime)) {
		return upload.State{}, failuref(ErrInvalidArgument, "upload has expired: an upload must be finished within %d hours. Nothing was changed. Start again with the first piece and without upload.", int(uploadLifetime.Hours()))
	}
	return state, nil
}

// admit counts a piece of an upload, or returns why the upload must wait.
func (u *uploads) admit(o upload.Owner) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	idle := func(_ string, last time.Time) bool { return now.Sub(last) >= uploadIdle }
	own := u.users[o.User]
	maps.DeleteFunc(own, idle)
	if _, known := own[blobOf(o)]; !known && len(own) >= maxUploads {
		return failuref(ErrThrottled, "You have %d uploads under way, the most that this server allows a user. Nothing was changed. Finish one of them; one without a piece for %d minutes no longer counts.", maxUploads, int(uploadIdle.Minutes()))
	}
	if own == nil {
		if len(u.users) >= maxRatedUsers {
			maps.DeleteFunc(u.users, func(_ string, of map[string]time.Time) bool { maps.DeleteFunc(of, idle); return len(of) == 0 })
		}
		if len(u.users) >= maxRatedUsers {
			return failuref(ErrThrottled, "Too many users of this server have uploads under way. Nothing was changed. Try again later.")
		}
		own = map[string]time.Time{}
		u.users[o.User] = own
	}
	own[blobOf(o)] = now
	return nil
}

// ended forgets an upload that is finished, or can't be.
func (u *uploads) ended(o upload.Owner) {
	u.mu.Lock()
	defer u.mu.Unlock()
	own := u.users[o.User]
	if delete(own, blobOf(o)); len(own) == 0 {
		delete(u.users, o.User)
	}
}

func blobOf(o upload.Owner) string { return o.Container + "/" + o.Blob }

// until says how long an upload can go on.
func until(state *upload.State) string {
	return fmt.Sprintf("until %s", state.Begun.Add(uploadLifetime).Format(time.RFC3339))
}
