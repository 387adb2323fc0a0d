// Package toolset connects a tool set to the server that registers it. A set may be embedded in
// another type, bundled with others, or registered by a function. Wrappers hide every method of a
// set but Register, and Register gets only the SDK's server, which has no place for our data.
package toolset

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"weak"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Host learns, during Register, what a tool set adds besides its tools.
type Host interface {
	// Tool reports the name of a tool that the set registers.
	Tool(name string)
	// Resources reports which tool each resource of the set stands for, by URI or URI template.
	// toolFor returns "" for a resource of another set.
	Resources(toolFor func(uri string) string)
	// Credential reports how the set's calls get their user's credential, and the App ID URI of
	// the downstream API that they request tokens for. At startup the host calls get once to check
	// that it can work at all.
	Credential(get func(context.Context) error, resource string)
}

// hosts maps each server to its host: weak.Pointer[mcp.Server] → Host.
var hosts sync.Map

// Attend makes h the server's host for as long as the server lives. h must not reference the
// server.
func Attend(s *mcp.Server, h Host) {
	key := weak.Make(s)
	hosts.Store(key, h)
	runtime.AddCleanup(s, func(key weak.Pointer[mcp.Server]) { hosts.Delete(key) }, key)
}

// HostOf returns the server's host, or nil for a plain SDK server.
func HostOf(s *mcp.Server) Host {
	h, _ := hosts.Load(weak.Make(s))
	host, _ := h.(Host)
	return host
}

// A Caller applies the server's policies to the caller of one request.
type Caller interface {
	// MayUse reports whether the caller may use the tool.
	MayUse(tool string) bool
	// Resources returns which of the server's resources the caller may use, or nil for all.
	Resources() *ResourcePolicy
}

// CallerKey is the context key of the request's [Caller].
type CallerKey struct{}

// MayUse reports whether the server's policies allow the request's caller to use the tool. Call it
// before showing the tool's information by other means. A server without policies allows everyone.
func MayUse(ctx context.Context, tool string) bool {
	caller, ok := ctx.Value(CallerKey{}).(Caller)
	return !ok || caller.MayUse(tool)
}

// A ResourcePolicy applies the server's resource policies to a caller who may not use all
// resources.
type ResourcePolicy struct {
	// Refuse returns why the caller may not use a resource, or nil. It takes a URI, or a URI
	// template for all of its resources at once. The error's text is for the caller. A tool that
	// returns the error, wrapped or not, gets the same answer as resources/read.
	Refuse func(uri string) error
	// Seal encrypts a cursor, which can hold names that are closed to the caller, and Open
	// decrypts it for the same caller.
	Seal func(cursor string) string
	Open func(sealed string) (cursor string, ok bool)
}

// Resources returns which of the server's resources the request's caller may use, whichever tool
// shows them. It returns nil for all, as on a server without resource policies.
func Resources(ctx context.Context) *ResourcePolicy {
	if caller, ok := ctx.Value(CallerKey{}).(Caller); ok {
		return caller.Resources()
	}
	return nil
}

// addressKey is where the _meta of an update has its [Addressees]. No client sees it.
const addressKey = "github.com/mcpentra/mcp-entra-go/addressees"

// Addressees are the sessions that a resource update is for. The SDK sends an update to all sessions
// that subscribe to its URI, whoever their users are.
type Addressees struct{ sessions []*mcp.ServerSession }

// Address returns the _meta of an update for these sessions alone. Sending middleware of the sender
// must keep it from all others, and remove it.
func Address(sessions []*mcp.ServerSession) mcp.Meta {
	return mcp.Meta{addressKey: &Addressees{sessions}}
}

// AddressOf returns whom an update is for. ok is false if it is for all who subscribe.
func AddressOf(p *mcp.ResourceUpdatedNotificationParams) (a *Addressees, ok bool) {
	a, ok = p.Meta[addressKey].(*Addressees)
	return a, ok
}

// Reaches reports whether the update is for the session.
func (a *Addressees) Reaches(session *mcp.ServerSession) bool {
	return slices.Contains(a.sessions, session)
}

// Unaddressed returns the update as its client gets it.
func (*Addressees) Unaddressed(p *mcp.ResourceUpdatedNotificationParams) *mcp.ResourceUpdatedNotificationParams {
	plain := *p
	plain.Meta = maps.Clone(p.Meta)
	if delete(plain.Meta, addressKey); len(plain.Meta) == 0 {
		plain.Meta = nil
	}
	return &plain
}
