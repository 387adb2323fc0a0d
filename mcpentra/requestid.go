package mcpentra

import (
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const requestIDHeader = "X-Request-Id"

func requestID(*http.Request) string { return newID() }

func requestIDOf(req mcp.Request) string {
	if extra := req.GetExtra(); extra != nil {
		return extra.Header.Get(requestIDHeader)
	}
	return ""
}
