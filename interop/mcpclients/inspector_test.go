//go:build unix

package mcpclients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// MCP Inspector's command line, signing in by itself. Each call is a process,
// which keeps its tokens in its home. It is built on the newer TypeScript client,
// and after an expiry has to be told to sign in again (TestRefreshWithoutScope).
func TestInspector(t *testing.T) {
	for _, c := range []struct {
		era      string
		sessions bool
	}{{"modern", false}, {"legacy", true}} {
		t.Run(c.era, func(t *testing.T) {
			s := newStage(t, c.sessions)
			i := s.newInspector(t, c.era)
			if got := member(t, i.call(t, "secure_ping"), "message"); got != allWell["call"] {
				t.Errorf("call: %q", got)
			}
			if got := i.call(t, "count"); got != "counted" {
				t.Errorf("count: %q", got)
			}
			s.later()
			if _, refused := i.run(t, "secure_ping"); !strings.Contains(refused, "AADSTS90009") {
				t.Errorf("expiry, by itself: %q", refused)
			}
			if got := member(t, i.call(t, "secure_ping", "--relogin"), "message"); got != allWell["expiry"] {
				t.Errorf("expiry: %q", got)
			}
			if got := i.call(t, "write_note"); got != allWell["write"] {
				t.Errorf("write: %q", got)
			}
			if grants := s.grants(); grants != "authorization_code refresh_token authorization_code authorization_code" { // the second is refused
				t.Errorf("tokens by %s", grants)
			}
			s.checkLog(t)
		})
	}
}

type inspector struct {
	stage    *stage
	era      string
	home     string
	roots    string
	callback string
}

func (s *stage) newInspector(t *testing.T, era string) *inspector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // it wants a port, and does not choose one
	must(t, err)
	must(t, l.Close())
	callback := "http://" + l.Addr().String() + "/oauth/callback"
	s.client.AddRedirectURI(entratest.PlatformDesktop, callback)
	return &inspector{stage: s, era: era, home: t.TempDir(), roots: s.certificates(t), callback: callback}
}

// call calls a tool and returns the text of its result.
func (i *inspector) call(t *testing.T, tool string, flags ...string) string {
	t.Helper()
	result, refused := i.run(t, tool, flags...)
	if refused != "" {
		t.Fatalf("%s: %s", tool, refused)
	}
	return result
}

// run calls a tool and returns the text of its result, or what the Inspector says
// is wrong.
func (i *inspector) run(t *testing.T, tool string, flags ...string) (result, refused string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	path, err := filepath.Abs("../node_modules/.bin/mcp-inspector")
	must(t, err)
	args := append([]string{
		"--cli", i.stage.url, "--transport", "http", "--protocol-era", i.era, "--format", "json",
		"--client-id", i.stage.client.ClientID, "--callback-url", i.callback, "--method", "tools/call", "--tool-name", tool,
	}, flags...)
	cmd := command(ctx, i.home, path, args,
		"NODE_EXTRA_CA_CERTS="+i.roots, "MCP_AUTO_OPEN_ENABLED=true", "MCP_INSPECTOR_SECRET_STORE=file")
	var stdout bytes.Buffer
	prompts := &prompts{visit: func(address string) error { return i.stage.visit(ctx, address) }}
	cmd.Stdin = strings.NewReader("y\n") // yes, ask for more scopes
	cmd.Stdout, cmd.Stderr = &stdout, prompts
	err = cmd.Run()
	prompts.visits.Wait()
	if prompts.err != nil {
		t.Errorf("%s: the sign-in: %v", tool, prompts.err)
	}
	if err != nil {
		return "", fmt.Sprintf("%v: %s", err, &prompts.text)
	}
	var out struct {
		Result struct{ Content []struct{ Text string } }
	}
	must(t, json.Unmarshal(stdout.Bytes(), &out))
	if len(out.Result.Content) != 1 {
		t.Fatalf("%s: %s", tool, &stdout)
	}
	return out.Result.Content[0].Text, ""
}

// prompts reads what a program says to its user, who opens the page that it shows.
type prompts struct {
	visit  func(address string) error
	visits sync.WaitGroup
	text   bytes.Buffer
	opened bool
	err    error
}

var authorizePage = regexp.MustCompile(`https://localhost:\d+/\S+/authorize\?\S+\s`)

func (p *prompts) Write(data []byte) (int, error) {
	p.text.Write(data)
	if page := authorizePage.Find(p.text.Bytes()); page != nil && !p.opened {
		p.opened = true
		p.visits.Go(func() { p.err = p.visit(string(bytes.TrimSpace(page))) })
	}
	return len(data), nil
}
