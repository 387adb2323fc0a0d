// Package odata reads and writes the part of OData 4.01 that Microsoft Graph's directory uses:
// resource paths, $filter, $select, and entities as JSON.
package odata

import (
	"errors"
	"net/url"
	"strings"
)

// A Segment is a piece of a path: a name, or the key of an entity. applications/1 and
// applications(appId='1') have two each.
type Segment struct {
	Text     string // the name, or the key's value
	Property string // of a key in parentheses, such as appId; else ""
	Key      bool   // in parentheses
}

var errPath = errors.New("the path is malformed")

// ParsePath parses an escaped path, without a leading slash.
func ParsePath(escaped string) ([]Segment, error) {
	var all []Segment
	for piece := range strings.SplitSeq(escaped, "/") {
		text, err := url.PathUnescape(piece)
		if err != nil || text == "" {
			return nil, errPath
		}
		name, inside, keyed := strings.Cut(text, "(")
		if !keyed {
			all = append(all, Segment{Text: text})
			continue
		}
		inside, ok := strings.CutSuffix(inside, ")")
		if !ok || name == "" {
			return nil, errPath
		}
		key, err := parseKey(inside)
		if err != nil {
			return nil, err
		}
		all = append(all, Segment{Text: name}, key)
	}
	return all, nil
}

// parseKey parses appId='1', or '1' for the key property.
func parseKey(text string) (Segment, error) {
	property, quoted, named := strings.Cut(text, "=")
	if !named || strings.HasPrefix(text, "'") {
		property, quoted = "", text
	}
	if named && property == "" && !strings.HasPrefix(text, "'") {
		return Segment{}, errPath
	}
	value, rest, err := literal(quoted)
	if err != nil || rest != "" || value == "" {
		return Segment{}, errPath
	}
	return Segment{Text: value, Property: property, Key: true}, nil
}

// literal reads a string literal, in which two single quotes stand for one, from the front of text.
func literal(text string) (value, rest string, err error) {
	if !strings.HasPrefix(text, "'") {
		return "", "", errors.New("a string literal in single quotes is missing")
	}
	text = text[1:]
	for {
		before, after, closed := strings.Cut(text, "'")
		if !closed {
			return "", "", errors.New("a string literal has no closing quote")
		}
		value += before
		if text = after; !strings.HasPrefix(text, "'") {
			return value, text, nil
		}
		value, text = value+"'", text[1:]
	}
}
