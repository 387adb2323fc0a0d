package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// initialize is the first message of a client. A server with a bearer check refuses it before it
// reads it.
const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},` +
	`"clientInfo":{"name":"mcp-entra doctor","version":"1"}}}`

// A call is what a client sends to the server.
type call struct {
	url       string
	host      string // "" for the URL's
	forwarded string // X-Forwarded-Host
	origin    string
	token     secret.Text
}

// send sends the call.
func (x *exam) send(ctx context.Context, c call) probe {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(initialize))
	if err != nil {
		return probe{err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if c.origin != "" {
		req.Header.Set("Origin", c.origin)
	}
	if c.forwarded != "" {
		req.Header.Set("X-Forwarded-Host", c.forwarded)
	}
	if !c.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+secret.Reveal(c.token))
	}
	req.Host = c.host
	return x.do(x.client, req)
}

// refusal returns the reason and the text of a refusal by a server of this module.
func (p probe) refusal() (reason, message string) {
	var answer struct {
		Error struct {
			Message string `json:"message"`
			Data    struct {
				Reason string `json:"reason"`
			} `json:"data"`
		} `json:"error"`
	}
	if json.Unmarshal(p.body, &answer) != nil {
		return "", ""
	}
	return printable(answer.Error.Data.Reason), printable(answer.Error.Message)
}

func (p probe) text() string {
	if p.err != nil {
		return p.err.Error()
	}
	s := fmt.Sprintf("HTTP status %d, %s", p.status, contentType(p.header))
	if reason, _ := p.refusal(); reason != "" {
		s = fmt.Sprintf("HTTP status %d, %s", p.status, reason)
	}
	return s
}

// server finds out whether an MCP server answers at the public URL.
func (x *exam) server(ctx context.Context) Result {
	if r := x.lacks("PUBLIC_URL", x.ResourceURL); r != nil {
		return *r
	}
	f := x.serverFault(ctx)
	if f == nil {
		return x.certificateEnds()
	}
	err := x.published.answer.err
	if r := x.blocked("config", "tenant", "registration", "app"); r != nil && err != nil && len(x.Faults) > 0 { // a server with a faulty configuration doesn't start
		return *r
	}
	if r := x.blamed(x.published.answer, x.ResourceURL); r != nil {
		return *r
	}
	if err != nil && x.local() != "" {
		if p := x.send(ctx, call{url: x.local()}); p.err == nil {
			f.Remedy = "The server itself answers at " + x.local() + ", so the fault is on the way to it. " + f.Remedy
		} else {
			f.Remedy = "Nothing answers at " + x.local() + " either: start the server, and see its log, if it runs on this machine. " + f.Remedy
		}
	}
	return failed(*f)
}

// certificateEnds warns of a certificate that must be renewed soon.
func (x *exam) certificateEnds() Result {
	const soon = 14 * 24 * time.Hour
	if end := x.published.answer.validUntil; !end.IsZero() && end.Sub(x.options.Now()) < soon {
		return warning(Finding{Problem: "the server's certificate ends soon", Expected: "more than 14 days", Came: end.UTC().Format(time.RFC3339),
			Remedy: "Renew it, and find out why that hasn't happened by itself"})
	}
	return ok("answers at %s", x.ResourceURL)
}

// local is the server's address on its machine, if it differs from the public one.
func (x *exam) local() string {
	if x.LocalURL == x.ResourceURL || sameLoopback(x.LocalURL, x.ResourceURL) {
		return ""
	}
	return x.LocalURL
}

// sameLoopback reports whether two URLs name the same port and path of this machine.
func sameLoopback(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && isLoopbackName(u.Hostname()) && isLoopbackName(v.Hostname()) &&
		u.Scheme == v.Scheme && u.Port() == v.Port() && u.Path == v.Path
}

func (x *exam) serverFault(ctx context.Context) *Finding {
	if x.proxyFor(x.ResourceURL) == nil {
		if _, f := x.resolve(ctx, x.ResourceURL, "Check PUBLIC_URL and the host's DNS entry"); f != nil {
			x.published.wrongURL = "server"
			x.published.answer.err = errUnresolved // by the resolver that dns blames, or because of the name
			return f
		}
	}
	soon, cancel := context.WithTimeout(ctx, checkTimeout*2/3) // the rest is for its address on this machine
	defer cancel()
	p := x.send(soon, call{url: x.ResourceURL})
	x.published.answer = p
	reason, message := p.refusal()
	f := &Finding{Expected: "401 with a challenge", Came: p.text()}
	switch {
	case p.err != nil:
		unreachable := x.unreachable(p, x.ResourceURL)
		return &unreachable
	case p.status == http.StatusUnauthorized, reason == "host_not_allowed", reason == "keys_unavailable", reason == "tenant_not_found":
		return nil
	case p.status == http.StatusBadRequest && strings.HasPrefix(x.ResourceURL, "http://") && speaksTLS.Match(p.body):
		x.published.wrongURL = "server"
		f.Problem, f.Came = "the URL begins with http, and its port speaks TLS", printable(string(p.body))
		f.Remedy = "Set PUBLIC_URL to https, and give clients that URL"
	case reason == "no_token":
		f.Problem = fmt.Sprintf("a proxy in front replaces the server's status 401 by %d, so clients don't sign in", p.status)
		f.Remedy = "Let the proxy forward the status 401 and the header WWW-Authenticate unchanged, without an error page or redirect of its own"
	case p.status >= 300 && p.status < 400:
		x.published.wrongURL = "server"
		f.Problem = "the URL redirects, and clients don't follow with a POST"
		f.Came += ", to " + printable(p.header.Get("Location"))
		f.Remedy = "If that is a sign-in page, turn the platform's built-in authentication off: the server does its own. Otherwise give clients the URL that it redirects to, and set PUBLIC_URL to it; resource and App ID URI must be that URL, too"
	case p.status == http.StatusNotFound:
		x.published.wrongURL = "server"
		f.Problem, f.Remedy = "there is nothing at this path", "Compare the path with the one that the server and the proxy in front of it serve"
		if reason != "" {
			f.Came = message
		}
	case reason != "":
		f.Problem, f.Remedy = "the server refuses every request: "+message, "See docs/troubleshooting.md#"+reason
	case p.status >= http.StatusInternalServerError:
		f.Problem, f.Remedy = "the proxy in front answers, but not the server behind it", "Start the server, and check the address and health probe that the proxy uses for it"
	case p.status < 300 && p.isMCP():
		f.Problem, f.Remedy = "the server serves requests without a token", "Check that this is the protected server and that its bearer check is in front of the endpoint"
	case p.status < 300:
		f.Problem, f.Remedy = "something else than the MCP server answers", "Check PUBLIC_URL, and what the proxy sends to the server (a page for browsers, a sign-in page, a default site?)"
	case p.status == http.StatusTooManyRequests:
		f.Problem, f.Remedy = "something in front of the server limits requests", "Try again in some minutes, and raise the limit: clients send several requests to sign in"
	default:
		f.Problem, f.Remedy = "something in front of the server refuses the request", "Check the firewall, the proxy's access rules and any built-in authentication of the platform: it must let requests without a token through, so that the server can challenge"
	}
	return f
}

// speaksTLS matches what servers answer to plain HTTP on a port for TLS: Go's, Apache's and nginx's.
var speaksTLS = regexp.MustCompile(`(?i)HTTPS? (server|port)|speaking plain HTTP`)

// isMCP reports whether a JSON-RPC result or an event stream came.
func (p probe) isMCP() bool {
	return strings.HasPrefix(p.header.Get("Content-Type"), "text/event-stream") || strings.Contains(string(p.body), `"jsonrpc"`)
}

// hostCheck sends the right host and a foreign one.
func (x *exam) hostCheck(ctx context.Context) Result {
	if x.published.answer.header == nil {
		return x.like("server")
	}
	if x.intercepted() {
		return Result{Status: NotRun, Because: "challenge", Note: "challenge failed"}
	}
	u, _ := url.Parse(x.ResourceURL)
	if reason, _ := x.published.answer.refusal(); reason == "host_not_allowed" {
		return failed(Finding{Problem: "the server refuses the host of its own URL: a proxy in front sends another Host", Expected: u.Host + " reaches the server",
			Came: "host_not_allowed", Remedy: "Let the proxy keep the Host header; or set ALLOWED_HOSTS to the name it sends (it is in the server's log); " +
				"or let it send X-Forwarded-Host and list its network in TRUSTED_PROXIES. Check PUBLIC_URL too"})
	}
	p := x.send(ctx, call{url: x.ResourceURL, host: foreignHost})
	switch {
	case p.err != nil, p.status >= 400 && p.status != http.StatusUnauthorized:
		return x.forwardedHost(ctx)
	case u.Scheme == "https":
		return warning(Finding{Problem: "a foreign Host reaches the server as its own: a proxy in front rewrites it", Expected: "a refusal", Came: p.text(),
			Remedy: "Nothing, if that proxy is the only way to the server; otherwise let it keep the Host header"})
	}
	return failed(Finding{Problem: "the server serves any Host, so a web page can reach it by DNS rebinding", Expected: "403 host_not_allowed", Came: p.text(),
		Remedy: "Serve it with mcpentra, whose host check is always on; don't let a proxy rewrite Host"})
}

// foreignHost can be nobody's (RFC 6761 section 6.4).
const foreignHost = "doctor.invalid"

// forwardedHost claims another host in a header that only a proxy may set.
func (x *exam) forwardedHost(ctx context.Context) Result {
	p := x.send(ctx, call{url: x.ResourceURL, forwarded: foreignHost})
	if reason, _ := p.refusal(); reason == "host_not_allowed" {
		return warning(Finding{Problem: "the proxy in front passes clients' X-Forwarded headers on, and the server trusts the proxy", Expected: "headers of the proxy's own",
			Came: p.text(), Remedy: "Have the proxy replace X-Forwarded-Host and X-Forwarded-For: clients can claim any address with them"})
	}
	return ok("the right host is served, a foreign one is refused")
}

// call sends the user's token the whole way.
func (x *exam) call(ctx context.Context) Result {
	switch {
	case x.published.answer.header == nil:
		return x.like("server")
	case x.options.UserToken.IsZero():
		return notRun(nobody)
	}
	p := x.send(ctx, call{url: x.ResourceURL, token: x.options.UserToken})
	reason, message := p.refusal()
	f := Finding{Expected: "an answer to initialize", Came: p.text()}
	switch {
	case p.err == nil && p.status < 300:
		return ok("the server serves the user")
	case p.err != nil:
		f.Problem, f.Remedy = "the server takes the token and does not answer", "See the server's log"
	case reason == "no_token" || p.status == http.StatusUnauthorized && reason == "":
		f.Problem, f.Remedy = "the token does not reach the server: something in front removes the Authorization header", "Let the proxy forward Authorization; turn the platform's built-in authentication off"
	case p.status >= http.StatusInternalServerError && reason == "":
		f.Problem, f.Remedy = "the request with a token gets no answer of the server", "See the server's log, and the timeouts and limits of the proxy in front"
	case p.status >= http.StatusInternalServerError:
		f.Problem, f.Remedy = "the server can't judge the token: "+message, "See the check health, and the server's log"
	case reason == "":
		f.Problem, f.Remedy = "the request is refused because it has a token: not by the server, or for another reason", "See the server's log, and that of the proxy in front"
	default:
		f.Problem = "the server refuses a token that is right for this configuration: " + message
		f.Remedy = "The running server has another configuration, keys or clock than this machine: restart it, and compare its environment. See docs/troubleshooting.md#" + reason
	}
	return failed(f)
}

// health asks the server whether it can verify tokens.
func (x *exam) health(ctx context.Context) Result {
	if x.published.answer.header == nil {
		return x.like("server")
	}
	if off, known := x.published.answer.offset(); known && abs(off) > clockFails {
		return failed(Finding{Problem: "the server's clock differs from this machine's by " + inWords(abs(off)),
			Expected: x.published.answer.received.UTC().Format(http.TimeFormat), Came: printable(x.published.answer.header.Get("Date")),
			Remedy: "Synchronize the clock of the server's host: this machine's agrees with Entra's"})
	}
	u, _ := url.Parse(x.ResourceURL)
	address := u.Scheme + "://" + u.Host + "/health"
	p := x.get(ctx, address)
	var answer struct{ Status, Reason, Message string }
	if p.err != nil || json.Unmarshal(p.body, &answer) != nil || answer.Status == "" {
		return notRun("%s is not public", address)
	}
	if p.status != http.StatusOK {
		return failed(Finding{Problem: "the server can't verify tokens: " + printable(answer.Message), Expected: "status ok", Came: printable(answer.Status + " " + answer.Reason),
			Remedy: "This machine reaches Entra ID and the server does not, or it has another configuration. Run doctor where the server runs; see docs/troubleshooting.md#" + printable(answer.Reason)})
	}
	return ok("the server can verify tokens")
}

// loopback asks the server on this machine, past all proxies.
func (x *exam) loopback(ctx context.Context) Result {
	switch {
	case x.LocalURL == "":
		return notRun("the port is not configured")
	case x.local() == "":
		return notRun("the public URL is on this machine already")
	}
	p := x.send(ctx, call{url: x.LocalURL})
	switch {
	case p.err != nil:
		return notRun("nothing answers at %s: run doctor where the server runs", x.LocalURL)
	case p.status == http.StatusUnauthorized && strings.Contains(p.header.Get("WWW-Authenticate"), "resource_metadata"):
		return ok("the server answers at %s", x.LocalURL)
	}
	return warning(Finding{Problem: "something else than the MCP server answers on this machine", Expected: "401 with a challenge", Came: p.text(),
		Remedy: "Check HOST and PORT, and which program listens at " + hostOf(x.LocalURL)})
}
