package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Attributes of MCP. Go's semantic conventions no longer have them: they are in
// semantic-conventions-genai v0.1.0, whose status is Development, so that they may change.
const (
	MCPMethod       = attribute.Key("mcp.method.name")
	MCPProtocol     = attribute.Key("mcp.protocol.version")
	GenAIOperation  = attribute.Key("gen_ai.operation.name")
	GenAITool       = attribute.Key("gen_ai.tool.name")
	GenAIPrompt     = attribute.Key("gen_ai.prompt.name")
	RPCResponseCode = attribute.Key("rpc.response.status_code")
)

// Attributes of HTTP and of errors, from the stable conventions.
const (
	ErrorType        = semconv.ErrorTypeKey
	HTTPMethod       = semconv.HTTPRequestMethodKey
	HTTPStatus       = semconv.HTTPResponseStatusCodeKey
	NetworkTransport = semconv.NetworkTransportKey
	ServerAddress    = semconv.ServerAddressKey
)

// Attributes of this module. Their values are its own small vocabularies.
const (
	Outcome   = attribute.Key("mcpentra.outcome")   // ok, error, refused, input
	Reason    = attribute.Key("mcpentra.reason")    // a reason code of docs/troubleshooting.md
	Limit     = attribute.Key("mcpentra.limit")     // which limit was hit
	Operation = attribute.Key("mcpentra.operation") // what a request to Azure is for
	Target    = attribute.Key("mcpentra.target")    // what a circuit protects from: entra, store
	Result    = attribute.Key("mcpentra.result")    // of a look into a cache or store: hit, miss, error
)

// Other is the name of what is not registered: a client could invent any number of names.
const Other = "_OTHER"

// The spans of this module, besides that of an MCP message, whose name is its method and,
// after a space, its tool or prompt.
const (
	SpanHTTPRequest = "MCP request" // a request refused before its messages were read
	SpanKeys        = "entra keys"  // metadata and keys are fetched
	SpanPolicy      = "policy"      // policies decide about a message
	SpanExchange    = "on behalf of"
	SpanEntra       = "entra token" // a request to the token endpoint
	SpanStorage     = "azure storage"
	SpanSearch      = "search"
)
