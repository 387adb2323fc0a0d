package clientdoc

import (
	"net/netip"
	"net/url"
	"time"
)

// IsPublic, ParseURL, ParseDocument and ParseKeySet are for tables of edges and for fuzzing.
func IsPublic(a netip.Addr) bool { return isPublic(a) }

func ParseURL(s string, loopback bool) (*url.URL, error) { return parseURL(s, loopback) }

func ParseDocument(id string, u *url.URL, body []byte) (*Document, error) {
	return parseDocument(id, u, body, false)
}

// ParseKeySet returns the number of keys in the set.
func ParseKeySet(body []byte) (int, error) {
	set, err := parseKeySet(body, time.Time{})
	if err != nil {
		return 0, err
	}
	return len(set.keys), nil
}

// Documents returns the number of documents that are kept.
func (f *Fetcher) Documents() int { return f.documents.Len() }

// Hosts returns the number of hosts that the limits remember.
func (f *Fetcher) Hosts() int {
	f.limits.mu.Lock()
	defer f.limits.mu.Unlock()
	return len(f.limits.windows)
}
