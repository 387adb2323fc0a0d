package doctor

import "context"

// checks are all checks, in the order of the report. Their ids are stable: docs/doctor.md has
// a section for each.
func checks(clients []string) []check {
	at := func(run func(*exam, context.Context) Result) func(context.Context, *exam) Result {
		return func(ctx context.Context, x *exam) Result { return run(x, ctx) }
	}
	need := func(ids ...string) []string { return ids }
	entra := need("dns", "tls", "authority", "tenant")
	signedIn := need("registration")
	site := need("server", "host")
	all := []check{
		{id: "config", after: need("tenant", "registration", "app"), run: at((*exam).config)},

		// The way to Entra ID, and the tenant.
		{id: "dns", run: at((*exam).dns)},
		{id: "tls", needs: need("dns"), run: at((*exam).tls)},
		{id: "clock", needs: need("dns"), after: need("tls", "proof"), run: at((*exam).clock)},
		{id: "authority", needs: need("dns", "tls"), run: at((*exam).authority)},
		{id: "tenant", needs: need("dns", "tls", "authority"), run: at((*exam).tenant)},
		{id: "metadata-v2", needs: entra, run: at((*exam).metadataV2)},
		{id: "metadata-v1", needs: append(need("metadata-v2"), entra...), run: at((*exam).metadataV1)},
		{id: "keys", needs: append(need("metadata-v2"), entra...), after: need("proof"), run: at((*exam).keySet)},

		// The registration, as Microsoft Graph shows it.
		{id: "registration", needs: entra, timed: true, run: at((*exam).registration)},
		{id: "token-version", needs: signedIn, after: need("proof"), run: at((*exam).tokenVersion)},
		{id: "app-id-uri", needs: append(need("token-version"), signedIn...), after: need("proof", "server", "resource-metadata"), run: at((*exam).appIDURI)},
		{id: "scopes", needs: signedIn, run: at((*exam).scopes)},
		{id: "pre-authorized", needs: signedIn, run: at((*exam).preAuthorized)},
		{id: "service-principal", needs: signedIn, run: at((*exam).servicePrincipal)},
		{id: "redirects", needs: signedIn, after: need("service-principal"), run: at((*exam).clientApps)},
		{id: "agents", needs: signedIn, after: need("service-principal"), run: at((*exam).agents)},

		// The proof of the app, and the exchange.
		{id: "app", needs: append(need("registration", "service-principal"), entra...), run: at((*exam).appExists)},
		{id: "identity", needs: entra, timed: true, run: at((*exam).identity)},
		{id: "federated-credential", needs: need("app", "identity"), run: at((*exam).federatedCredential)},
		{id: "proof", needs: need("app", "identity", "federated-credential"), run: at((*exam).proofAccepted)},
		{id: "user-token", needs: append(need("clock", "app", "scopes", "metadata-v1", "metadata-v2", "keys"), entra...), after: need("proof"), run: at((*exam).userToken)},
		{id: "downstream-grant", needs: need("service-principal"), after: need("proof", "user-token"), run: at((*exam).downstreamGrant)},
		{id: "exchange", needs: need("downstream-grant", "agents"), after: need("proof", "user-token"), run: at((*exam).exchange)},

		// Azure Storage.
		{id: "storage", after: need("dns", "tls", "authority", "tenant", "app"), run: at((*exam).storage)},
		{id: "data-role", needs: need("storage", "downstream-grant"), after: need("proof", "user-token", "exchange"), run: at((*exam).dataRole)},
		{id: "container", needs: need("storage", "data-role"), run: at((*exam).containerExists)},

		// The server, by its public URL and on its machine.
		{id: "server", after: need("config", "dns", "tls", "authority"), run: at((*exam).server)},
		{id: "host", needs: need("server"), run: at((*exam).hostCheck)},
		{id: "resource-metadata", needs: site, after: need("tenant", "app"), run: at((*exam).resourceMetadata)},
		{id: "challenge", needs: need("server"), after: need("host", "resource-metadata"), run: at((*exam).challenge)},
		{id: "advertised-scopes", needs: append(need("resource-metadata"), site...), after: need("challenge"), run: at((*exam).advertisedScopes)},
		{id: "auth-proxy", needs: append(need("resource-metadata"), site...), after: need("registration"), run: at((*exam).authProxy)},
		{id: "origin", needs: site, after: need("resource-metadata"), run: at((*exam).originCheck)},
		{id: "cors", needs: append(need("origin"), site...), after: need("resource-metadata"), run: at((*exam).cors)},
		{id: "health", needs: append(need("server", "clock", "metadata-v1", "metadata-v2", "keys"), entra...), run: at((*exam).health)},
		{id: "call", needs: append(need("user-token", "challenge", "health"), site...), run: at((*exam).call)},
		{id: "loopback", after: need("server"), run: at((*exam).loopback)},
	}
	for _, c := range clientsNamed(clients) {
		all = append(all, clientCheck(c))
	}
	return all
}
