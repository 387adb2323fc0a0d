package telemetry

// A Metric is a metric's definition.
type Metric struct {
	Name, Unit, Description string
	Buckets                 []float64 // of a histogram
}

// seconds are the buckets that semantic-conventions-genai gives for MCP.
var seconds = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300}

// The metrics of requests, by package mcpentra.
var (
	OperationDuration = Metric{"mcp.server.operation.duration", "s", "How long MCP requests and notifications took, as the server sees it.", seconds}
	Requests          = Metric{"mcpentra.requests", "{request}", "MCP messages and refused HTTP requests by method, tool, outcome and reason.", nil}
	Refusals          = Metric{"mcpentra.refusals", "{request}", "MCP messages and HTTP requests that were refused, by reason.", nil}
	LimitsHit         = Metric{"mcpentra.limits.hit", "{request}", "Requests refused by a limit.", nil}
	Sessions          = Metric{"mcpentra.sessions", "{session}", "MCP sessions that are open.", nil}
	Streams           = Metric{"mcpentra.streams", "{stream}", "Streams for messages of the server that are open.", nil}
)

// The metrics of verification, by package entraauth; the last one is mcpentra's.
var (
	KeysAge         = Metric{"mcpentra.keys.age", "s", "How long ago the signing keys were last fetched, or since the start while there are none; of several tenants, the oldest of those whose fetches fail, or else the oldest.", nil}
	KeysFetches     = Metric{"mcpentra.keys.fetches", "{fetch}", "Fetches of metadata and keys by outcome.", nil}
	KeysFailures    = Metric{"mcpentra.keys.failures", "{fetch}", "Fetches of keys that have failed since the last one that worked; of the tenant whose keys' age is given.", nil}
	Verifications   = Metric{"mcpentra.token_cache.lookups", "{lookup}", "Looks into the cache of verified tokens by result.", nil}
	TokenCacheSize  = Metric{"mcpentra.token_cache.size", "{token}", "Verified tokens in the cache.", nil}
	CertificateEnds = Metric{"mcpentra.certificate.expiry", "s", "When the server's TLS certificate ends, in Unix time.", nil}
)

// The metrics of acting on behalf of users, by package obo. CircuitOpen is mcpentra's, too, and
// AssertionEnds authproxy's; SecretEnds is that of examples/production.
var (
	Exchanges         = Metric{"mcpentra.exchanges", "{exchange}", "Exchanges on behalf of users, and the first steps of agents, by outcome and kind of error.", nil}
	ExchangeDuration  = Metric{"mcpentra.exchange.duration", "s", "How long exchanges took at Entra by outcome, from the first request, with retries; those without a request are not in it.", seconds}
	ExchangeLookups   = Metric{"mcpentra.exchange.lookups", "{lookup}", "Looks into the cache of exchanged tokens by result.", nil}
	ExchangeCacheSize = Metric{"mcpentra.exchange.cache.size", "{token}", "Exchanged tokens in the cache.", nil}
	ExchangeWaiters   = Metric{"mcpentra.exchange.waiters", "{caller}", "Callers that waited for an exchange of another caller.", nil}
	ExchangeAhead     = Metric{"mcpentra.exchange.ahead", "{exchange}", "Exchanges begun before a cached token ends, for which no caller waits.", nil}
	StoreLookups      = Metric{"mcpentra.store.lookups", "{lookup}", "Looks into the shared store of exchanged tokens by result; error also counts failed writes.", nil}
	CircuitOpen       = Metric{"mcpentra.circuit.open", "{circuit}", "1 while requests to the target are not tried.", nil}
	AssertionEnds     = Metric{"mcpentra.assertion.expiry", "s", "When the certificate that signs the app's client assertions ends, in Unix time, by what the app does with it.", nil}
	SecretEnds        = Metric{"mcpentra.secret.expiry", "s", "When the app's client secret ends, in Unix time, as configured.", nil}
)

// The metrics of Azure Storage, by package blobtool.
var (
	StorageDuration = Metric{"mcpentra.storage.duration", "s", "How long Azure Storage took to begin its answers by operation and class of status; each try counts.", seconds}
	StorageBytes    = Metric{"mcpentra.storage.read", "By", "Bytes read from Azure Storage by operation.", nil}
	SavedCopies     = Metric{"mcpentra.storage.copies", "{file}", "Blobs to save on the server's disk by outcome.", nil}
	SavedBytes      = Metric{"mcpentra.storage.copies.written", "By", "Bytes of the blobs that were saved on the server's disk.", nil}
)

// The metrics of sign-ins through the server, by package authproxy.
var (
	SignIns        = Metric{"mcpentra.signins", "{request}", "Requests to the authorization proxy by endpoint and outcome.", nil}
	SignInsRefused = Metric{"mcpentra.signins.refused", "{request}", "Requests that the authorization proxy refused or failed by reason.", nil}
)
