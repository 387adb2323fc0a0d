package telemetry

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Attributes of MCP. Go's semantic conventions no longer have them: they are in
// semantic-conventions-genai v0.1.0, whose status is Development, so that they may change.
const (
	MCPMethod       = attribute.Key("mcp.method.name")
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
	Target    = attribute.Key("mcpentra.target")    // what a circuit protects from: entra, agent (its first step), store, rates
	Result    = attribute.Key("mcpentra.result")    // of a look into a cache or store: hit, miss, error
	Status    = attribute.Key("mcpentra.status")    // class of an HTTP status: 2xx, 3xx, 4xx, 5xx, none
	Endpoint  = attribute.Key("mcpentra.endpoint")  // of the authorization proxy: authorize, consent, callback, token, revoke, register, metadata
	Use       = attribute.Key("mcpentra.use")       // what the app's certificate is for: exchange, signin
)

// Other is the name of what is not registered: a client could invent any number of names.
const Other = "_OTHER"

// The spans of this module, besides those of MCP messages and HTTP requests: the name of a
// message's is its method and, after a space, its tool or prompt; that of a request whose
// messages were not read is its HTTP method.
const (
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

// SpanHTTP is the name of the span of a request with an HTTP method that is not of RFC 9110.
const SpanHTTP = "HTTP"

// Values of attributes that the conventions give.
const (
	ExecuteTool = "execute_tool" // GenAIOperation of tools/call
	ToolError   = "tool_error"   // ErrorType of a result with isError
	TCP         = "tcp"          // NetworkTransport
)

// Internal is the ErrorType of a panic.
const Internal = "internal_error"

// Values of Limit.
const (
	LimitRequests      = "requests"       // of a user, a second or at a time
	LimitBodyBytes     = "body_bytes"     // of a user's requests under way
	LimitAllBodyBytes  = "all_body_bytes" // of all users' requests under way
	LimitBodySize      = "body_size"
	LimitSessions      = "sessions"
	LimitSubscriptions = "subscriptions"
)

// Limits are all values of Limit.
var Limits = []string{LimitRequests, LimitBodyBytes, LimitAllBodyBytes, LimitBodySize, LimitSessions, LimitSubscriptions}

// Methods are the methods of MCP that clients send. Others are Other, unless the server knows them.
var Methods = []string{
	"initialize", "ping", "server/discover", "tools/list", "tools/call", "prompts/list", "prompts/get",
	"resources/list", "resources/templates/list", "resources/read", "resources/subscribe", "resources/unsubscribe",
	"subscriptions/listen", "completion/complete", "logging/setLevel",
	"notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/roots/list_changed", //nolint:misspell // the protocol's spelling
}

// Reasons are the reason codes of refusals, which docs/troubleshooting.md explains.
var Reasons = []string{
	"no_token", "token_in_query", "several_headers", "several_values", "malformed", "algorithm_not_accepted",
	"critical_header", "other_api", "type_not_accepted", "kid_missing", "version_not_accepted",
	"issuer_mismatch", "tenant_mismatch", "audience_mismatch", "exp_missing", "expired", "not_yet_valid",
	"issued_in_future", "bound_to_key", "agent_claims_malformed", "claims_contradict", "idtyp_not_accepted",
	"id_token", "key_not_found", "signature_invalid", "oid_missing", "agent_unclear", "agent_not_accepted",
	"agent_user_not_accepted", "people_only", "scope_missing", "app_only", "user_not_accepted",
	"user_role_missing", "group_missing", "group_overage", "app_role_missing", "client_not_allowed",
	"client_auth_weak", "stronger_sign_in", "revoked", "keys_unavailable", "tenant_not_found",
	"host_not_allowed", "origin_not_allowed", "path_not_found", "http_method_not_allowed",
	"content_type_not_json", "accept_not_event_stream", "not_json", "invalid_request", "method_not_found",
	"session_not_found", "too_many_requests", "too_many_body_bytes", "too_many_body_bytes_in_all",
	"body_too_large", "body_too_slow", "body_broken_off", "draining",
}

// ReasonOf returns a kind of error, such as obo's, in the words of the log's reason and of error.type:
// consent_required.
func ReasonOf(kind error) string { return strings.ReplaceAll(kind.Error(), " ", "_") }
