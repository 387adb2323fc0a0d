package entraauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds on the JSON in a token. Entra's largest tokens (200 groups, all
// optional claims) stay far below.
const (
	maxMembers = 256
	maxDepth   = 8
	maxMember  = 128
)

// eachMember calls f with each member of the JSON object data, in order.
//
// encoding/json matches names whatever their case and lets the last of two
// equal names win, so that two readers of one token can see different claims.
// Here a name that stands twice, or that differs from another only in case, is
// an error, and f compares names exactly.
func eachMember(data []byte, f func(name, value string) error) error {
	if !json.Valid(data) {
		return errors.New("not JSON")
	}
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	// s is valid JSON from here on: what follows only has to find the edges. Names
	// and values are parts of it, so they cost nothing.
	s := string(data)
	i := skipSpace(s, 0)
	if s[i] != '{' {
		return errors.New("not a JSON object")
	}
	var room [64]string // enough for most tokens, without an allocation
	seen := room[:0]
	for i = skipSpace(s, i+1); s[i] != '}'; {
		if len(seen) == maxMembers {
			return fmt.Errorf("more than %d members", maxMembers)
		}
		end := skipString(s, i)
		name, err := memberName(s[i:end])
		if err != nil {
			return err
		}
		folded := fold(name)
		if slices.Contains(seen, folded) {
			return fmt.Errorf("the member %q stands twice", actual(name))
		}
		seen = append(seen, folded)

		i = skipSpace(s, skipSpace(s, end)+1) // over the colon
		if end, err = skipValue(s, i); err != nil {
			return err
		}
		if err := f(name, s[i:end]); err != nil {
			return err
		}
		if i = skipSpace(s, end); s[i] == ',' {
			i = skipSpace(s, i+1)
		}
	}
	return nil
}

// eachElement calls f with each element of the JSON array s, in order.
func eachElement(s string, f func(element string) error) error {
	for i := skipSpace(s, 1); s[i] != ']'; {
		end, err := skipValue(s, i)
		if err != nil {
			return err
		}
		if err := f(s[i:end]); err != nil {
			return err
		}
		if i = skipSpace(s, end); s[i] == ',' {
			i = skipSpace(s, i+1)
		}
	}
	return nil
}

// memberName decodes the quoted name of a member.
func memberName(quoted string) (string, error) {
	name, err := unquote(quoted)
	if err == nil && len(name) > maxMember {
		err = fmt.Errorf("a member's name is longer than %d bytes", maxMember)
	}
	return name, err
}

// unquote decodes a JSON string.
func unquote(quoted string) (string, error) {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	var s string
	err := json.Unmarshal([]byte(quoted), &s)
	return s, err
}

// fold maps names that differ only in case to one, by the folding that
// encoding/json uses: the Kelvin sign is a k, the long s an s.
func fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return strings.ToLower(strings.ToUpper(name))
		}
	}
	return strings.ToLower(name)
}

func skipSpace(s string, i int) int {
	for s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r' {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at i.
func skipString(s string, i int) int {
	for i++; s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index behind the value that begins at i.
func skipValue(s string, i int) (int, error) {
	depth := 0
	for {
		switch s[i] {
		case '"':
			i = skipString(s, i)
		case '{', '[':
			if depth++; depth > maxDepth {
				return 0, fmt.Errorf("nested more than %d deep", maxDepth)
			}
			i++
		case '}', ']':
			depth--
			i++
		default:
			i++
		}
		if depth == 0 && (i == len(s) || endsValue(s[i])) {
			return i, nil
		}
	}
}

func endsValue(c byte) bool {
	switch c {
	case ',', '}', ']', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}
