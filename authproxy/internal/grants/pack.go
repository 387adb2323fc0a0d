package grants

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/record"
)

// pack returns Entra's code in three quarters of its length: it is letters of base64url, with
// dots between its parts, and would be encoded so again. Each four letters are three bytes; the
// rest of a part is kept as it is, and so is a code of another form.
func pack(code []byte) []byte {
	var w record.Writer
	parts := strings.Split(string(code), ".")
	w.Number(uint64(len(parts)))
	for _, part := range parts {
		whole := len(part) / 4 * 4
		b, err := base64.RawURLEncoding.DecodeString(part[:whole])
		if err != nil || strings.ContainsAny(part, "\r\n") { // encoding/base64 skips these
			w = record.Writer{}
			w.Number(0)
			w.Blob(code)
			break
		}
		w.Blob(b)
		w.Text(part[whole:])
	}
	return w.Bytes()
}

// unpack returns what pack was given.
func unpack(b []byte) ([]byte, error) {
	r := record.NewReader(b)
	var code []byte
	switch n := r.Number(); {
	case n == 0:
		code = r.Blob()
	case n > uint64(len(b)): // each part has a byte at least
		return nil, errors.New("the packed code is cut short")
	default:
		for i := range n {
			if i > 0 {
				code = append(code, '.')
			}
			code = base64.RawURLEncoding.AppendEncode(code, r.Blob())
			code = append(code, r.Blob()...)
		}
	}
	return code, r.Done()
}
