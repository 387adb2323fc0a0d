package mcpentra

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/internal/azuretext"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// A refuser writes the answers to requests that are refused.
type refuser struct {
	log         *requestLog
	verifier    *entraauth.Verifier
	resource    string // the URL that clients are given
	metadataURL string // of the protected resource, for challenges

	authorizeURL string // where users sign in; "" for Entra's
}

// reject answers and logs the request. more is only for the log.
func (f *refuser) reject(w http.ResponseWriter, r *http.Request, why rejection, more ...slog.Attr) {
	f.log.rejected(r, why, callOf(r.Context()).soleMethod(), more...)
	mcpauth.WriteRefusal(w, r, why.status, why.code, why.reason, why.text)
}

// rejectUnlogged is reject without a line, for those who have had one a moment ago.
func (f *refuser) rejectUnlogged(w http.ResponseWriter, r *http.Request, why rejection) {
	f.log.observer.rejected(r, why, callOf(r.Context()).soleMethod())
	mcpauth.WriteRefusal(w, r, why.status, why.code, why.reason, why.text)
}

// refuse answers the request with the denial, and logs it.
func (f *refuser) refuse(w http.ResponseWriter, r *http.Request, d *denial) {
	f.writeDenial(w, r, d, func(r *http.Request, status int, e *entraauth.Error) { f.log.denied(r, status, e, d.targets) })
}

// refuseLate makes the denial the answer to the message's request, and reports false if
// it is too late. The message's log line covers it.
func (f *refuser) refuseLate(m *rpcMessage, d *denial) bool {
	return m.refuse(func(w http.ResponseWriter, r *http.Request) {
		f.writeDenial(w, r, d, func(*http.Request, int, *entraauth.Error) {})
	})
}

func (f *refuser) writeDenial(w http.ResponseWriter, r *http.Request, d *denial, log func(*http.Request, int, *entraauth.Error)) {
	f.verifier.Refuse(w, r, &entraauth.BearerCheck{
		Scopes: d.scopes(f.verifier, f.resource), ResourceMetadata: f.metadataURL, AuthorizationEndpoint: f.authorizeURL, WriteBody: mcpauth.WriteBody, OnRefusal: log,
	}, d.refusal)
}

// wireError returns the error that the SDK sends for err. (Errors of tools are results.)
// A *jsonrpc.Error is already written for the client.
func wireError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return err
	}
	if d, ok := errors.AsType[*denial](err); ok {
		return &jsonrpc.Error{Code: codeRefused, Message: d.Error(), Data: refusalData(d.refusal)}
	}
	if text := callerText(err); text != "" {
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: text}
	}
	return err
}

// failures turns the failure of a message into an answer that its caller can act on.
type failures struct {
	refuser *refuser
	consent *consent
}

// conclude is the stage that notes for the log why a message failed, and sets the answer.
func (f *failures) conclude(m *rpcMessage) {
	cause := present(m.result, m.err)
	if cause == nil {
		return
	}
	m.cause = cause
	if d, ok := errors.AsType[*denial](cause); ok {
		if f.refuser.refuseLate(m, d) || m.err != nil {
			m.result, m.err = nil, d
		}
		return // otherwise the client gets the text
	}
	e, ok := errors.AsType[*obo.Error](cause)
	if !ok || m.caller == nil {
		return
	}
	if call, isCall := m.req.(*mcp.CallToolRequest); isCall && m.err == nil && errors.Is(e, obo.ErrConsentRequired) {
		m.result, m.err = f.consent.ask(m, call, e)
		return
	}
	if challenge := challengeOf(m.caller, e); challenge != nil {
		d := &denial{refusal: challenge, targets: m.targets}
		if f.refuser.refuseLate(m, d) { // otherwise the client gets the text
			m.result, m.err = nil, d
		}
	}
}

// challengeOf returns the challenge for a token that Entra refused to exchange, or nil if
// a new token does not help or the client can't get one. An agent user's is a refusal.
func challengeOf(id *entraauth.Identity, e *obo.Error) *entraauth.Error {
	switch {
	case errors.Is(e, obo.ErrAssertionExpired):
		return entraauth.RevokedError(id)
	case errors.Is(e, obo.ErrInteractionRequired) && e.Claims != "" && (id.HandlesClaims() || id.Agent().Role == entraauth.AgentRoleUser):
		return entraauth.ClaimsRequiredError(id, e.Claims)
	}
	return nil
}

// userError is an error with a text for the caller, as those of entraauth, obo and
// blobtool.
type userError interface {
	error
	UserText() string
}

// present replaces the text of a failed tool call if the caller should not read it, and
// returns why the request failed, for the log; nil if it did not fail.
//
// The SDK sends the text of any error that a tool returns. Errors of the Azure SDK
// contain URLs and whole response bodies, and network errors internal addresses. Other
// errors are the tool's own text and stay, as do results of tools that failed with a
// text for the caller and structured content: blobtool's tools that write return one,
// and clients that show only the text need the ETag in it.
func present(result mcp.Result, err error) error {
	if err != nil {
		return err
	}
	r, ok := result.(*mcp.CallToolResult)
	if !ok || r == nil || !r.IsError {
		return nil
	}
	cause := r.GetError()
	if cause == nil {
		return errors.New("the tool reported an error")
	}
	if _, ours := errors.AsType[userError](cause); ours && r.StructuredContent != nil {
		return cause
	}
	if text := callerText(cause); text != "" {
		r.Content = []mcp.Content{&mcp.TextContent{Text: text}}
	}
	return cause
}

// callerText returns the text that replaces the cause's own, or "" to keep that.
func callerText(cause error) string {
	if user, ok := errors.AsType[userError](cause); ok {
		return user.UserText()
	}
	if azure, ok := errors.AsType[*azcore.ResponseError](cause); ok {
		return azuretext.ForUser(azure)
	}
	_, isURL := errors.AsType[*url.Error](cause)
	_, isNet := errors.AsType[net.Error](cause)
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		return "The service did not answer in time. Try again."
	case isURL, isNet:
		return "The service could not be reached. Try again; if it keeps failing, tell this server's operator."
	}
	return ""
}
