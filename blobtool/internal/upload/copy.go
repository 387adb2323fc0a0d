package upload

import "crypto/rand"

// CopyBlocks returns the IDs of the blocks of a copy, in the form of all of the owner's blocks. They
// are new ones each time, so that two copies don't mix.
func (o Owner) CopyBlocks(n int) []string {
	id := blockID{owner: o.tag(), before: make([]byte, hashSize), hash: make([]byte, hashSize)}
	_, _ = rand.Read(id.before) // never fails
	_, _ = rand.Read(id.hash)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = id.String()
		id.index++
	}
	return ids
}
