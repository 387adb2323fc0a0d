package entrawire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

const (
	// maxCodes bounds the codes that are read from a response.
	maxCodes = 16
	// maxSeconds is about 31 years: far above any lifetime, far below an overflow.
	maxSeconds = 1e9
)

// members are a JSON object's, by their exact names. Each is read separately, and one of
// the wrong type counts as absent, so that it doesn't spoil the others.
type members map[string]json.RawMessage

func decodeMembers(body []byte) (members, bool) {
	var m members
	err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &m)
	return m, err == nil && m != nil
}

// text returns a member if it is a string, else "".
func (m members) text(name string) string {
	var s string
	if json.Unmarshal(m[name], &s) != nil {
		return ""
	}
	return s
}

// matching returns a member if it is a string of the given form, else "".
func (m members) matching(name string, form func(string) bool) string {
	if s := m.text(name); form(s) {
		return s
	}
	return ""
}

// isText reports whether the member is a string, even "".
func (m members) isText(name string) bool { return bytes.HasPrefix(m[name], []byte(`"`)) }

// isSet reports whether the member is present and neither null nor "".
func (m members) isSet(name string) bool {
	raw := string(m[name])
	return raw != "" && raw != "null" && raw != `""`
}

// seconds returns a number of seconds, which may be a string; 0 if it is neither, or
// absurdly large.
func (m members) seconds(name string) time.Duration {
	n, err := strconv.ParseFloat(strings.Trim(string(m[name]), `" `), 64)
	if err != nil || !(n >= -maxSeconds && n <= maxSeconds) {
		return 0
	}
	return time.Duration(n) * time.Second
}

// codes returns the AADSTS codes of a member: a list or a single code, as numbers or as
// strings with or without "AADSTS".
func (m members) codes(name string) []int {
	var list []json.RawMessage
	if json.Unmarshal(m[name], &list) != nil {
		list = []json.RawMessage{m[name]}
	}
	var codes []int
	for _, raw := range list[:min(len(list), maxCodes)] {
		text := strings.TrimPrefix(strings.Trim(string(raw), `" `), "AADSTS")
		if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 1 && n < 1e8 && n == float64(int(n)) {
			codes = append(codes, int(n))
		}
	}
	return codes
}

// claims returns a claims challenge: a JSON object in a string, as Entra sends it, or the
// object itself.
func (m members) claims(name string) string {
	s := m.text(name)
	if s == "" {
		s = string(m[name])
	}
	if len(s) > MaxClaims || !isObject(s) {
		return ""
	}
	return s
}

// isObject reports whether s is a JSON object (OpenID Connect Core, section 5.5).
func isObject(s string) bool {
	return strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{") && json.Valid([]byte(s))
}
