package entraauth

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

const (
	// maxActual bounds how much of one value is logged, in bytes.
	maxActual = 256
	// maxWord is the longest run of letters and digits that is logged. Ids, names and
	// hosts are shorter; the parts of a token are longer.
	maxWord = 48
	// maxTokenID bounds a token's id, in bytes. Entra's have 22.
	maxTokenID = 64
)

// actual prepares a value from an unverified request for the log. It cuts the value and
// adds its length, quotes control characters, and hides whatever may be a token,
// wherever a confused client put one.
func actual(s string) string {
	length := len(s)
	s = hideTokens(strings.ToValidUTF8(s[:min(length, 4*maxActual)], "\uFFFD")) // before it is cut: a token's beginning looks like a word
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		s = strconv.Quote(s)
	}
	if len(s) > maxActual {
		s = strings.ToValidUTF8(s[:maxActual], "")
	}
	if length > maxActual {
		s += fmt.Sprintf("… (%d bytes)", length)
	}
	return s
}

// hideTokens replaces each run of base64url by its length if it is longer than a
// word or contains eyJ, the beginning of every encoded JSON object.
func hideTokens(s string) string {
	if len(s) <= maxWord && !strings.Contains(s, "eyJ") {
		return s
	}
	var b strings.Builder
	for s != "" {
		end := strings.IndexFunc(s, func(r rune) bool { return !isWord(r) })
		if end < 0 {
			end = len(s)
		}
		if run := s[:end]; len(run) > maxWord || strings.Contains(run, "eyJ") {
			fmt.Fprintf(&b, "[%d characters]", len(run))
		} else {
			b.WriteString(run)
		}
		next := strings.IndexFunc(s[end:], isWord)
		if next < 0 {
			next = len(s) - end
		}
		b.WriteString(s[end : end+next])
		s = s[end+next:]
	}
	return b.String()
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_+=~", r)
}

// describeHeader describes an Authorization header for the log without quoting it.
func describeHeader(value string) string {
	end := strings.IndexFunc(value, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end < 0 {
		end = len(value)
	}
	for _, scheme := range schemes {
		switch {
		case !strings.EqualFold(value[:end], scheme):
		case scheme == "Bearer":
			return "Bearer without a space behind it"
		default:
			return "scheme " + scheme
		}
	}
	return fmt.Sprintf("%d bytes without a known scheme", len(value))
}

// schemes are the authentication schemes that a log may name: those that IANA
// lists, and some others in use.
var schemes = []string{
	"ApiKey", "AWS4-HMAC-SHA256", "Basic", "Bearer", "Concealed", "Digest", "DPoP", "GNAP", "GoogleLogin", "Hawk", "HOBA",
	"MSAuth", "Mutual", "Negotiate", "NTLM", "OAuth", "PoP", "PrivateToken", "SAML", "SCRAM-SHA-1", "SCRAM-SHA-256",
	"SharedAccessSignature", "SharedKey", "SharedKeyLite", "Signature", "Token", "VAPID", "WRAP",
}

// maxName bounds the names of a caller, in bytes. Entra's own limit is 256 characters.
const maxName = 1024

// printable cuts a name that is shown to people to maxName bytes and drops
// characters that can't be printed: users choose their own names. Any other space than
// ASCII's, such as the ideographic one in Japanese names, becomes that one.
func printable(name string) string {
	name = strings.ToValidUTF8(name[:min(len(name), maxName)], "")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Zs, r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, name)
}

// plainID returns the id of a token if it has the form of Entra's (base64url, 22 characters) or
// is at least as plain, else "": it is copied into logs, and compared there.
func plainID(id string) string {
	plain := func(r rune) bool {
		return r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
	}
	if len(id) > maxTokenID || strings.ContainsFunc(id, func(r rune) bool { return !plain(r) }) {
		return ""
	}
	return id
}
