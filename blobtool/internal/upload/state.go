// Package upload is the arithmetic of an upload in pieces: what its handle contains, and what its
// blocks are called.
//
// The ID of a block names who staged it, its index, and a hash of all content before it and up to
// its end. So a repeated piece replaces itself, another piece at the same index does not, and from
// the IDs that Azure lists, [State.Blocks] finds exactly the blocks that a handle stands for.
package upload

import (
	"bytes"
	"crypto/md5" //nolint:gosec // as Azure stores it, to recognize content, not to protect it
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"time"
)

const hashSize = 16

// An Owner is who uploads, and where to. All parts are compared exactly.
type Owner struct{ User, Container, Blob string }

// Settings are what the first call says about the blob.
type Settings struct {
	ETag        string            `json:"e,omitempty"` // of the blob that is overwritten; empty: a new one
	ContentType string            `json:"c,omitempty"`
	Metadata    map[string]string `json:"m"` // nil: not given
	Tags        map[string]string `json:"t"` // nil: not given
	DropTags    bool              `json:"d,omitempty"`
}

// A State is an upload after some of its pieces.
type State struct {
	ID       []byte    `json:"i"` // random
	Begun    time.Time `json:"b"`
	Settings Settings  `json:"s"`
	Text     bool      `json:"x,omitempty"` // all pieces were text
	Pieces   uint32    `json:"n"`
	Size     int64     `json:"z"` // of all pieces
	Last     []byte    `json:"l"` // the hash up to here
	MD5      []byte    `json:"h"` // the running hash
}

// Begin returns the upload before its first piece.
func Begin(o Owner, s Settings, now time.Time) State {
	u := State{ID: make([]byte, hashSize), Begun: now.UTC().Truncate(time.Second), Settings: s, Text: true}
	_, _ = rand.Read(u.ID) // never fails
	u.Last = o.beginning(s.ETag)
	u.MD5 = marshal(md5.New()) //nolint:gosec // see the import
	return u
}

// Marker is the marker of the blob that the upload makes.
func (u *State) Marker() string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(u.ID)
}

// With returns the upload after one more piece, and the ID of the piece's block.
func (u State) With(o Owner, piece []byte, text bool) (next State, block string) {
	next = u
	next.Last = digest(u.Last, piece)
	sum := u.running()
	_, _ = sum.Write(piece)
	next.MD5 = marshal(sum)
	next.Pieces++
	next.Size += int64(len(piece))
	next.Text = u.Text && text
	return next, blockID{owner: o.tag(), index: u.Pieces, before: u.Last, hash: next.Last}.String()
}

// Sum is the MD5 of the content so far.
func (u *State) Sum() []byte { return u.running().Sum(nil) }

// running returns the running hash, which Parse or Begin made.
func (u *State) running() hash.Hash {
	h := md5.New() //nolint:gosec // see the import
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(u.MD5); err != nil {
		panic(fmt.Sprintf("upload: MD5 state: %v", err)) // Parse has checked it
	}
	return h
}

func marshal(h hash.Hash) []byte {
	b, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("upload: MD5 state: %v", err)) // crypto/md5 always encodes
	}
	return b
}

// digest hashes parts, each with its length.
func digest(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(p)))
		_, _ = h.Write(p)
	}
	return h.Sum(nil)[:hashSize]
}

// Encode returns the state for sealing.
func (u *State) Encode() []byte {
	b, err := json.Marshal(u)
	if err != nil {
		panic(fmt.Sprintf("upload: encoding: %v", err)) // it always encodes
	}
	return b
}

// ErrMalformed is the error for what Encode does not return.
var ErrMalformed = errors.New("not the state of an upload")

// Parse returns the state that was encoded.
func Parse(b []byte) (State, error) {
	var u State
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&u); err != nil || d.More() {
		return State{}, ErrMalformed
	}
	// The running hash ends with the number of bytes hashed.
	h := md5.New() //nolint:gosec // see the import
	if h.(encoding.BinaryUnmarshaler).UnmarshalBinary(u.MD5) != nil || len(u.ID) != hashSize || len(u.Last) != hashSize ||
		u.Pieces < 1 || u.Size < int64(u.Pieces) || binary.BigEndian.Uint64(u.MD5[len(u.MD5)-8:]) != uint64(u.Size) { //nolint:gosec // it is positive
		return State{}, ErrMalformed
	}
	return u, nil
}

// A blockID is the ID of a block, before base64. All have one length, as Azure requires of the
// uncommitted blocks of a blob.
type blockID struct {
	owner  []byte
	index  uint32
	before []byte // the hash before the block
	hash   []byte // and with it
}

const blockIDSize = 3*hashSize + 4 // Azure allows 64

func (o Owner) tag() []byte {
	return digest([]byte("owner"), []byte(o.User), []byte(o.Container), []byte(o.Blob))
}

// beginning is the hash before the first piece.
func (o Owner) beginning(etag string) []byte {
	return digest([]byte("upload"), []byte(o.User), []byte(o.Container), []byte(o.Blob), []byte(etag))
}

// String returns the ID as Azure takes it.
func (b blockID) String() string {
	raw := make([]byte, 0, blockIDSize)
	raw = append(raw, b.owner...)
	raw = binary.BigEndian.AppendUint32(raw, b.index)
	raw = append(append(raw, b.before...), b.hash...)
	return base64.StdEncoding.EncodeToString(raw)
}

func parseBlockID(s string) (b blockID, ok bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != blockIDSize {
		return b, false
	}
	rest := raw[hashSize+4:]
	return blockID{raw[:hashSize], binary.BigEndian.Uint32(raw[hashSize:]), rest[:hashSize], rest[hashSize:]}, true
}

// A Block is an uncommitted block as Azure lists it.
type Block struct {
	ID   string
	Size int64
}

// Foreign reports whether any of the blocks is of another owner or another program.
func (o Owner) Foreign(staged []Block) bool {
	tag := o.tag()
	for _, s := range staged {
		if b, ok := parseBlockID(s.ID); !ok || !bytes.Equal(b.owner, tag) {
			return true
		}
	}
	return false
}

// Blocks returns the IDs of the upload's blocks in order, or false if not all of them are staged.
func (u *State) Blocks(o Owner, staged []Block) ([]string, bool) {
	type found struct {
		Block
		id blockID
	}
	byHash := make(map[string]found, len(staged))
	tag := o.tag()
	for _, s := range staged {
		if b, ok := parseBlockID(s.ID); ok && bytes.Equal(b.owner, tag) {
			byHash[string(b.hash)] = found{s, b}
		}
	}
	if int64(u.Pieces) > int64(len(staged)) {
		return nil, false
	}
	ids := make([]string, u.Pieces)
	size, hash := int64(0), u.Last
	for i := int64(u.Pieces) - 1; i >= 0; i-- {
		b, ok := byHash[string(hash)]
		if !ok || int64(b.id.index) != i {
			return nil, false
		}
		ids[i], hash = b.ID, b.id.before
		size += b.Size
	}
	return ids, size == u.Size && bytes.Equal(hash, o.beginning(u.Settings.ETag))
}
