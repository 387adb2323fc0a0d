package mcpentra

import (
	"context"
	"errors"
	"net"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/azuretext"
)

// userError is an error that says what the caller may read of it: those of
// entraauth, obo and blobtool do.
type userError interface {
	error
	UserText() string
}

// present replaces the text of a failed tool call where it is not fit for the
// caller, and returns why the request failed, for the log; nil if it did not.
//
// The SDK sends the text of any error that a tool returns. Those of the Azure
// SDK hold URLs and whole response bodies, and those of the network internal
// addresses. Other errors are the tool's own words, and stay.
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
	if text := callerText(cause); text != "" {
		r.Content = []mcp.Content{&mcp.TextContent{Text: text}}
	}
	return cause
}

// callerText returns the text that stands for the cause, or "" where the
// cause's own will do.
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
		return "The service could not be reached. Try again; if it goes on, tell this server's operator."
	}
	return ""
}
