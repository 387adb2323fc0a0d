package fixedsdk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/bench/fixedsdk"
)

// The SDK that this module requires can be fixed; a source that has changed where
// it matters is refused, and says where.
func TestFix(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := fixedsdk.Copy(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "internal", "json", "json.go"))
	if err != nil {
		t.Fatal(err)
	}
	fixed := string(data)
	if n := strings.Count(fixed, "json.Parse(data, v, json.DontMatchCaseInsensitiveStructFields)"); n != 1 {
		t.Errorf("%d calls of json.Parse, want 1:\n%s", n, fixed)
	}
	if strings.Contains(fixed, `"bytes"`) {
		t.Errorf("bytes is imported and not used:\n%s", fixed)
	}
	const known = `package json

import (
	"bytes"
	"io"

	"github.com/segmentio/encoding/json"
)

func NewDecoder(r io.Reader) *Decoder {
	dec := json.NewDecoder(r)
	dec.DontMatchCaseInsensitiveStructFields()
	return &Decoder{dec: dec}
}

func Unmarshal(data []byte, v any) error {
	return NewDecoder(bytes.NewReader(data)).Decode(v)
}
`
	for _, test := range []struct{ old, new, want string }{
		{"", "", ""},
		{"func Unmarshal", "func Decode", "no functions Unmarshal and NewDecoder"},
		{"Decode(v)", "Decode(&v)", "Unmarshal ends with"},
		{"dec.Dont", "dec.UseNumber()\n\tdec.Dont", "NewDecoder calls"},
		{"segmentio/encoding", "other/encoding", "does not import"},
	} {
		_, err := fixedsdk.Fix([]byte(strings.Replace(known, test.old, test.new, 1)))
		switch {
		case test.want == "" && err != nil:
			t.Errorf("the known source: %v", err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "does not fit this version")):
			t.Errorf("%q in place of %q: got %v, want %q", test.new, test.old, err, test.want)
		}
	}
}
