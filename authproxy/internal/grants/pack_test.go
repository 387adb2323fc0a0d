package grants

import (
	"strings"
	"testing"
)

func FuzzPack(f *testing.F) {
	for _, code := range []string{"", ".", "1.AAAA", "0.AX0Ab-_", "not base64url!", "QQ\n", "QR", strings.Repeat("1.AbcD", 300)} {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		packed := pack([]byte(code))
		got, err := unpack(packed)
		if err != nil || string(got) != code {
			t.Fatalf("unpack(pack(%q)) = %q, %v; want the same", code, got, err)
		}
		_, _ = unpack([]byte(code)) // anything
	})
}

func TestPackSavesAQuarter(t *testing.T) {
	t.Parallel()
	code := "1.A" + strings.Repeat("AbCd-_09", 200)
	if n := len(pack([]byte(code))); n > len(code)*3/4+16 {
		t.Errorf("a code of %d bytes takes %d, want three quarters", len(code), n)
	}
}
