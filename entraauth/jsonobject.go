package entraauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds on the JSON in a token. Entra's largest tokens (200 groups, all
// optional claims) stay far below.
const (
	maxMembers = 256
	maxDepth   = 8
	maxName    = 128
)

// eachMember calls f with each member of the JSON object data, in order.
//
// encoding/json matches names whatever their case and lets the last of two
// equal names win, so that two readers of one token can see different claims.
// Here a name that stands twice, or that differs from another only in case, is
// an error, and f compares names exactly.
func eachMember(data []byte, f func(name string, value []byte) error) error {
	if !json.Valid(data) {
		return errors.New("not JSON")
	}
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	// data is valid JSON from here on: what follows only has to find the edges.
	i := skipSpace(data, 0)
	if data[i] != '{' {
		return errors.New("not a JSON object")
	}
	seen := make(map[string]struct{}, 32)
	for i = skipSpace(data, i+1); data[i] != '}'; {
		if len(seen) == maxMembers {
			return fmt.Errorf("more than %d members", maxMembers)
		}
		end := skipString(data, i)
		name, err := memberName(data[i:end])
		if err != nil {
			return err
		}
		folded := fold(name)
		if _, ok := seen[folded]; ok {
			return fmt.Errorf("the member %q stands twice", name)
		}
		seen[folded] = struct{}{}

		i = skipSpace(data, skipSpace(data, end)+1) // over the colon
		if end, err = skipValue(data, i); err != nil {
			return err
		}
		if err := f(name, data[i:end]); err != nil {
			return err
		}
		if i = skipSpace(data, end); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	return nil
}

// memberName decodes the quoted name of a member.
func memberName(quoted []byte) (string, error) {
	name := string(quoted[1 : len(quoted)-1])
	if strings.IndexByte(name, '\\') >= 0 {
		if err := json.Unmarshal(quoted, &name); err != nil {
			return "", err
		}
	}
	if len(name) > maxName {
		return "", fmt.Errorf("a member's name is longer than %d bytes", maxName)
	}
	return name, nil
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

func skipSpace(data []byte, i int) int {
	for data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r' {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at i.
func skipString(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index behind the value that begins at i.
func skipValue(data []byte, i int) (int, error) {
	depth := 0
	for {
		switch data[i] {
		case '"':
			i = skipString(data, i)
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
		if depth == 0 && (i == len(data) || endsValue(data[i])) {
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
