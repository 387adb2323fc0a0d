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
	maxMember  = 128 // bytes of a member's name
)

var errNotJSON = errors.New("not JSON")

// eachMember calls f with each member of the JSON object s, in order. Names and values
// are parts of s. What f was told counts only if eachMember returns nil: a fault may
// come after it.
//
// encoding/json matches names whatever their case and lets the last of two
// equal names win, so that two readers of one token can see different claims.
// Here a name that appears twice, or that differs from another only in case, is
// an error, and f compares names exactly.
func eachMember(s string, f func(name, value string) error) error {
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	j := scanner{src: s}
	if !j.next('{') {
		return errors.New("not a JSON object")
	}
	var room [64]string // enough for most tokens, without an allocation
	seen := room[:0]
	var marks uint64 // of seen: a name whose mark is not there is new
	for more := !j.next('}'); more; {
		quoted, ok := j.string()
		if !ok || !j.next(':') {
			return errNotJSON
		}
		name, err := unquote(quoted)
		if err != nil {
			return err
		}
		folded := fold(name)
		mark := markOf(folded)
		switch {
		case len(name) > maxMember:
			return fmt.Errorf("a member's name is longer than %d bytes", maxMember)
		case len(seen) == maxMembers:
			return fmt.Errorf("more than %d members", maxMembers)
		case marks&mark != 0 && slices.Contains(seen, folded):
			return fmt.Errorf("the member %q appears twice", actual(name))
		}
		seen, marks = append(seen, folded), marks|mark
		value, err := j.value(maxDepth)
		if err != nil {
			return err
		}
		if err := f(name, value); err != nil {
			return err
		}
		if more = j.next(','); !more && !j.next('}') {
			return errNotJSON
		}
	}
	if j.space(); j.at != len(s) {
		return errNotJSON
	}
	return nil
}

// eachElement calls f with each element of the JSON array s, in order.
func eachElement(s string, f func(element string) error) error {
	j := scanner{src: s}
	if !j.next('[') {
		return errors.New("not a JSON array")
	}
	for more := !j.next(']'); more; {
		element, err := j.value(maxDepth)
		if err != nil {
			return err
		}
		if err := f(element); err != nil {
			return err
		}
		if more = j.next(','); !more && !j.next(']') {
			return errNotJSON
		}
	}
	return nil
}

// A scanner walks a JSON text once, and checks its grammar (RFC 8259) on the way.
type scanner struct {
	src string
	at  int
}

// peek returns the next byte, or 0 at the end. No byte of 0 can follow in JSON.
func (j *scanner) peek() byte {
	if j.at < len(j.src) {
		return j.src[j.at]
	}
	return 0
}

// space skips white space.
func (j *scanner) space() {
	for c := j.peek(); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = j.peek() {
		j.at++
	}
}

// next skips white space, and the byte c if it follows.
func (j *scanner) next(c byte) bool {
	j.space()
	if j.peek() != c {
		return false
	}
	j.at++
	return true
}

// value skips white space, and returns the value that follows, of at most that depth.
func (j *scanner) value(depth int) (string, error) {
	j.space()
	start := j.at
	ok := false
	var err error
	switch c := j.peek(); c {
	case '"':
		_, ok = j.string()
	case '{', '[':
		if depth == 0 {
			return "", fmt.Errorf("nested more than %d deep", maxDepth)
		}
		ok, err = j.container(depth - 1)
	case 't':
		ok = j.word("true")
	case 'f':
		ok = j.word("false")
	case 'n':
		ok = j.word("null")
	default:
		ok = j.number()
	}
	if err == nil && !ok {
		err = errNotJSON
	}
	return j.src[start:j.at], err
}

// container skips an object or an array, whose elements are of at most that depth.
func (j *scanner) container(depth int) (bool, error) {
	object := j.peek() == '{'
	end := byte(']')
	if object {
		end = '}'
	}
	j.at++
	for more := !j.next(end); more; {
		if object {
			j.space()
			if _, ok := j.string(); !ok || !j.next(':') {
				return false, nil
			}
		}
		if _, err := j.value(depth); err != nil {
			return false, err
		}
		if more = j.next(','); !more && !j.next(end) {
			return false, nil
		}
	}
	return true, nil
}

// string skips white space, and returns the string that follows, with its quotes.
func (j *scanner) string() (quoted string, ok bool) {
	if !j.next('"') {
		return "", false
	}
	start := j.at - 1
	for ; j.at < len(j.src); j.at++ {
		switch c := j.src[j.at]; {
		case c == '"':
			j.at++
			return j.src[start:j.at], true
		case c == '\\':
			j.at++
			if j.peek() == 'u' {
				for range 4 {
					j.at++
					if !isHex(j.peek()) {
						return "", false
					}
				}
			} else if strings.IndexByte(`"\/bfnrt`, j.peek()) < 0 {
				return "", false
			}
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (j *scanner) word(w string) bool {
	if !strings.HasPrefix(j.src[j.at:], w) {
		return false
	}
	j.at += len(w)
	return true
}

// number skips a number: a sign, digits without leading zeros, a fraction, an exponent.
func (j *scanner) number() bool {
	if j.peek() == '-' {
		j.at++
	}
	if j.peek() == '0' {
		j.at++
	} else if !j.digits() {
		return false
	}
	if j.peek() == '.' {
		j.at++
		if !j.digits() {
			return false
		}
	}
	if c := j.peek(); c == 'e' || c == 'E' {
		j.at++
		if c := j.peek(); c == '+' || c == '-' {
			j.at++
		}
		return j.digits()
	}
	return true
}

func (j *scanner) digits() bool {
	start := j.at
	for c := j.peek(); c >= '0' && c <= '9'; c = j.peek() {
		j.at++
	}
	return j.at > start
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

// markOf returns one of 64 bits for a name, by its length and two of its letters.
func markOf(name string) uint64 {
	if name == "" {
		return 1
	}
	return 1 << ((7*len(name) + int(name[0]) + 3*int(name[len(name)-1])) % 64)
}

// fold maps names that differ only in case to one, by the folding that
// encoding/json uses: the Kelvin sign is a k, the long s an s.
func fold(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			return strings.ToLower(strings.ToUpper(name))
		}
	}
	return name
}
