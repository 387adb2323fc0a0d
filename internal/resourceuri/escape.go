package resourceuri

import "strings"

// Classes of bytes that may appear unescaped.
const (
	unreserved = 1 << iota // RFC 3986, section 2.3
	reserved               // section 2.2: delimiters
	slash
	brace
	everyByte
)

var classes = func() (all [256]byte) {
	for i := range all {
		c := byte(i)
		all[c] = everyByte
		for class, set := range map[byte]string{unreserved: "-._~", reserved: ":/?#[]@!$&'()*+,;=", slash: "/", brace: "{}"} {
			if strings.IndexByte(set, c) >= 0 {
				all[c] |= class
			}
		}
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' {
			all[c] |= unreserved
		}
	}
	return all
}()

// escape normalizes the escapes in s and escapes the bytes that are in no class of may.
func escape(s string, may byte) string {
	same := escapedLen(s, may)
	if same == len(s) {
		return s
	}
	const upperHex = "0123456789ABCDEF"
	out := append(make([]byte, 0, len(s)+8), s[:same]...)
	for i := same; i < len(s); i++ {
		c := s[i]
		decoded, escaped := escapedByte(s[i:])
		if escaped {
			c = decoded
			i += 2
		}
		if escaped && classes[c]&unreserved != 0 || !escaped && classes[c]&may != 0 {
			out = append(out, c)
			continue
		}
		out = append(out, '%', upperHex[c>>4], upperHex[c&15])
	}
	return string(out)
}

// escapedLen returns the length of the prefix of s that escape leaves unchanged.
func escapedLen(s string, may byte) int {
	for i := 0; i < len(s); i++ {
		c, escaped := s[i], false
		if c == '%' {
			c, escaped = escapedByte(s[i:])
		}
		switch {
		case escaped && (classes[c]&unreserved != 0 || s[i+1] >= 'a' || s[i+2] >= 'a'), !escaped && classes[s[i]]&may == 0:
			return i
		case escaped:
			i += 2
		}
	}
	return len(s)
}

// decodeOnce decodes every escape once and escapes bytes that are invalid in a URI.
func decodeOnce(uri string) string {
	if !strings.Contains(uri, "%") {
		return uri
	}
	out := make([]byte, 0, len(uri))
	for i := 0; i < len(uri); i++ {
		if c, ok := escapedByte(uri[i:]); ok {
			out = append(out, c)
			i += 2
			continue
		}
		out = append(out, uri[i])
	}
	return escape(string(out), unreserved|reserved)
}

// escapedByte returns the byte of the escape at the beginning of s.
func escapedByte(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	high, low := hexValue(s[1]), hexValue(s[2])
	return high<<4 | low&15, high < 16 && low < 16
}

func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xFF
}
