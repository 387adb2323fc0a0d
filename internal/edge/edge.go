// Package edge has the plain HTTP concerns of a server that strangers can reach:
// which hosts and web pages may call it, which proxies it believes, how long a
// client may take, how large a body may be, and how the server stops. It knows
// neither MCP nor Entra.
//
// From the outside in:
//
//   - [Server] runs an http.Server with bounds on connections, and drains it;
//   - [Writer] gives the body and each write a deadline;
//   - [Proxies] find out the client's address and the host that it asked for;
//   - [HostCheck] refuses foreign hosts and web pages, and answers CORS preflights;
//   - [Drain] counts calls, and ends streams when the server stops;
//   - [Body] takes a body of bounded size into memory.
//
// The types of a single request, Writer and Body, are used by value, so that a server
// can keep all it needs for a request in one piece of memory.
//
// Nothing here writes the body of a refusal: a check returns a [Refusal], and the
// server writes it in its protocol's form.
package edge

import "log/slog"

// A Refusal says why the server rejects a request.
type Refusal struct {
	Status  int
	Reason  string      // a code for logs and programs, such as host_not_allowed
	Message string      // for the client: what was expected, and what to do
	Attrs   []slog.Attr // for the log alone
}
