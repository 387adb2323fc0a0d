// Package toolset connects a tool set and the server on which it is registered,
// however the set got there: by itself, embedded in another type, in a bundle, by
// a function. Wrappers hide all methods of a set except Register, and Register gets
// only the SDK's server, which has no place for data of ours.
package toolset

import (
	"context"
	"runtime"
	"sync"
	"weak"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Host is told, during Register, what a tool set brings along besides its tools.
type Host interface {
	// Tool says the name of a tool that the set registers.
	Tool(name string)
	// Resources says which tool a resource of the set stands for, by URI or URI
	// template; "" for a resource that is not of the set.
	Resources(toolFor func(uri string) string)
	// Credential is how the calls of the set get the credential of their user, and
	// the downstream API for which they ask it for tokens, as an App ID URI. It is
	// asked once, at start, whether it can work at all.
	Credential(get func(context.Context) error, resource string)
}

// hosts has the host of each server: weak.Pointer[mcp.Server] → Host.
var hosts sync.Map

// Attend makes h the host of the server, for as long as the server lives. h must
// not hold the server.
func Attend(s *mcp.Server, h Host) {
	key := weak.Make(s)
	hosts.Store(key, h)
	runtime.AddCleanup(s, func(key weak.Pointer[mcp.Server]) { hosts.Delete(key) }, key)
}

// HostOf returns the host of the server, or nil: a plain server of the SDK has none.
func HostOf(s *mcp.Server) Host {
	h, _ := hosts.Load(weak.Make(s))
	host, _ := h.(Host)
	return host
}

// A Caller answers for the caller of one request, by the policies of its server.
type Caller interface {
	// MayUse reports whether the caller may use the tool.
	MayUse(tool string) bool
	// Resources returns what the caller may use of the server's resources, or nil if
	// that is everything.
	Resources() *ResourcePolicy
}

// CallerKey is the context key of the request's [Caller].
type CallerKey struct{}

// MayUse reports whether the policies of the server let the caller of the request
// use the tool, whose information may also be shown in other ways. A server without
// policies allows everybody.
func MayUse(ctx context.Context, tool string) bool {
	caller, ok := ctx.Value(CallerKey{}).(Caller)
	return !ok || caller.MayUse(tool)
}

// A ResourcePolicy is what the policies of the server for resources mean for a caller
// who may not use all of them.
type ResourcePolicy struct {
	// Refuse returns why the caller may not use a resource, or nil: one by URI or, by
	// URI template, all resources of the template at once. The error's text is for the
	// caller; a tool that returns the error, wrapped or not, is answered as
	// resources/read would be.
	Refuse func(uri string) error
	// Seal hides a cursor's content, which can be names that are closed to the caller,
	// and Open returns it when the same caller sends it back.
	Seal func(cursor string) string
	Open func(sealed string) (cursor string, ok bool)
}

// Resources returns what the caller of the request may use of the server's resources,
// whichever tool shows it. It returns nil if that is everything, as on a server without
// policies for resources.
func Resources(ctx context.Context) *ResourcePolicy {
	if caller, ok := ctx.Value(CallerKey{}).(Caller); ok {
		return caller.Resources()
	}
	return nil
}
