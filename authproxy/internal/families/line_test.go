package families

import (
	"bytes"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
)

// FuzzLine: what is in the store may be anybody's. It is read as what it is, or not at all, and
// never lets an ended family live.
func FuzzLine(f *testing.F) {
	f.Add((&line{ended: true}).marshal())
	f.Add((&line{generation: 1 << 63, id: grants.ID{1}, since: time.UnixMilli(1 << 42)}).marshal())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := unmarshalLine(b)
		if err != nil || l == nil {
			if err == nil && b != nil {
				t.Errorf("unmarshalLine(%x) = nil, nil; want a line or an error", b)
			}
			return
		}
		again, err := unmarshalLine(l.marshal())
		if err != nil || *again != *l {
			t.Errorf("%+v became %+v, %v", l, again, err)
		}
		if ended := bytes.Equal(l.marshal(), (&line{ended: true}).marshal()); ended != l.ended {
			t.Errorf("%+v is marshaled as ended: %v", l, ended)
		}
		if l.ended && l.permits(Token{Generation: 1 << 63}, time.Now()) == nil {
			t.Error("an ended family permits a token")
		}
	})
}

func TestLineSize(t *testing.T) {
	t.Parallel()
	b := (&line{generation: 1 << 40, id: grants.NewID(), since: time.Now()}).marshal()
	if len(b) > 34 {
		t.Errorf("a line has %d bytes, want at most 34", len(b))
	}
}
