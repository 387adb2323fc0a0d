package mcpentra

// stackRoom makes a goroutine's stack 32 KiB: what the SDK's decoding and validating of
// a call takes, and most tools.
const stackRoom = 15 << 10

// makeRoom grows the goroutine's stack once, while little of it is in use. The SDK runs
// each call on a new goroutine with a stack of a few KiB, which is copied, frame by
// frame, each time it doubles. The array is never touched; its frame has to fit.
//
//go:noinline
func makeRoom(never bool) byte {
	if never {
		var b [stackRoom]byte
		return fill(&b)
	}
	return 0
}

//go:noinline
func fill(b *[stackRoom]byte) byte {
	for i := range b {
		b[i] = byte(i)
	}
	return b[17]
}
