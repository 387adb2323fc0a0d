package blobtest

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A group is the accounts that know each other: they share a certificate, and copy from each other.
type group struct {
	cert      tls.Certificate
	certPEM   []byte
	transport *http.Transport

	mu      sync.Mutex
	servers []*Server
}

// groupOf returns the group of a server, or a new one.
func groupOf(beside *Server) (*group, error) {
	if beside != nil {
		return beside.accounts, nil
	}
	cert, certPEM, err := selfSigned()
	if err != nil {
		return nil, err
	}
	return &group{cert: cert, certPEM: certPEM, transport: transportTrusting(certPEM)}, nil
}

func (g *group) add(s *Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.servers = append(g.servers, s)
}

func (g *group) remove(s *Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.servers = slices.DeleteFunc(g.servers, func(other *Server) bool { return other == s })
}

// find returns the account of a URL and the path in it, or nil.
func (g *group) find(u *url.URL) (*Server, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.servers {
		own, err := url.Parse(s.URL())
		if err != nil || !strings.EqualFold(u.Scheme, own.Scheme) || !strings.EqualFold(u.Host, own.Host) {
			continue
		}
		if path, ours := s.resource(u.Path); ours {
			return s, path
		}
	}
	return nil, ""
}
