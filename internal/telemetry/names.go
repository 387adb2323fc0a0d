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
	Operation = attribute.Key("mcpentra.operation") // what a request to Azure is for; exchange or assertion (an agent's first step)
	Target    = attribute.Key("mcpentra.target")    // what a circuit protects from: entra, agent (its first step), store
	Result    = attribute.Key("mcpentra.result")    // of a look into a cache or store: hit, miss, error
	Status    = attribute.Key("mcpentra.status")    // class of an HTTP status: 2xx, 3xx, 4xx, 5xx, none
	Endpoint  = attribute.Key("mcpentra.endpoint")  // of the authorization proxy: authorize, consent, callback, token, revoke, register, metadata
	Use       = attribute.Key("mcpentra.use")       // what the app's certificate is for: exchange, signin
)

// Other is the name of what is not registered: a client could invent any number of names.
const Other = "_OTHER"

// The spans of this module, besides that of an MCP message, whose name is its method and,
// after a space, its tool or prompt.
const (
	SpanHTTPRequest  = "MCP request"        // a request refused before its messages were read
	SpanKeys         = "entra keys"         // metadata and keys are fetched
	SpanKeysWait     = "entra keys wait"    // a caller waits for a fetch of another caller
	SpanKeysRequest  = "entra keys request" // a request for metadata or keys
	SpanPolicy       = "policy"             // policies decide about a message
	SpanExchange     = "on behalf of"       // an exchange
	SpanExchangeWait = "on behalf of wait"  // a caller waits for an exchange of another caller
	SpanAgent        = "agent assertion"    // the first step of an agent's exchanges
	SpanAgentWait    = "agent assertion wait"
	SpanEntra        = "entra token"       // a request to the token endpoint
	SpanCredential   = "client credential" // a request for what proves the app, such as to the managed identity's endpoint
	SpanStorage      = "azure storage"     // a request to Azure Storage: each try has a span
	SpanSearch       = "search"
)
