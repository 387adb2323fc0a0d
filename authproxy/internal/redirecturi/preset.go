package redirecturi

import (
	"errors"
	"fmt"
	"strings"
)

// A Preset is a dated list of the redirects of a known client. One "*" may stand for a segment of
// a path, and a loopback redirect without a port for any port.
type Preset struct {
	Name, Date string
	Redirects  []string
}

// Check returns what is wrong with the preset, or nil.
func (p Preset) Check() error {
	var faults []error
	if len(p.Redirects) == 0 {
		faults = append(faults, errors.New("there are no Redirects"))
	}
	for i, pattern := range p.Redirects {
		if err := checkPattern(pattern); err != nil {
			faults = append(faults, fmt.Errorf("redirect %d: %w", i, err))
		}
	}
	return errors.Join(faults...)
}

func checkPattern(pattern string) error {
	before, after, wild := strings.Cut(pattern, "*")
	if wild && (!strings.HasPrefix(pattern, "https://") || !strings.HasSuffix(before, "/") || before == "https://" ||
		after != "" && after[0] != '/' && after[0] != '?' || strings.ContainsAny(before, "?") || strings.Contains(after, "*")) {
		return errors.New("one * may stand for a whole segment of the path of an https redirect, and nothing else")
	}
	uri := before + after
	if wild {
		uri = before + "x" + after
	}
	return Check(uri, []string{uri})
}

// Has reports whether the redirect, which passed the function [Check], is in the preset.
func (p Preset) Has(uri string) bool {
	for _, pattern := range p.Redirects {
		if pattern == uri || !hasFixedPort(pattern) && Match(pattern, uri) {
			return true
		}
		before, after, wild := strings.Cut(pattern, "*")
		if wild && len(uri) > len(before)+len(after) && strings.HasPrefix(uri, before) && strings.HasSuffix(uri, after) &&
			isPlainSegment(uri[len(before):len(uri)-len(after)]) {
			return true
		}
	}
	return false
}

// isPlainSegment accepts unreserved characters alone (RFC 3986, section 2.3).
func isPlainSegment(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("-._~", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// Known returns the name of the first preset that has all the redirects, or "".
func Known(presets []Preset, redirects []string) string {
	for _, p := range presets {
		all := len(redirects) > 0
		for _, uri := range redirects {
			all = all && p.Has(uri)
		}
		if all {
			return p.Name
		}
	}
	return ""
}

// Listed reports whether the redirect is in one of the presets.
func Listed(presets []Preset, uri string) bool {
	for _, p := range presets {
		if p.Has(uri) {
			return true
		}
	}
	return false
}
