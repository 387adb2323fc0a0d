// What both servers need: the settings from the environment, and the check of
// a token by jose, which keeps the tenant's keys.
import { createRemoteJWKSet, jwtVerify } from 'jose';

export const settings = JSON.parse(process.env.BENCH_CALLS);

const keys = createRemoteJWKSet(new URL(settings.keysURL));

// verifier has what both generations of the SDK ask for; invalid makes the
// error that they answer with 401.
export function verifier(invalid) {
  return {
    async verifyAccessToken(token) {
      let payload;
      try {
        ({ payload } = await jwtVerify(token, keys, {
          issuer: settings.issuer,
          audience: settings.clientID,
          algorithms: ['RS256'],
          requiredClaims: ['exp'],
        }));
      } catch (error) {
        throw invalid(error.message);
      }
      return {
        token,
        clientId: String(payload.azp),
        scopes: String(payload.scp ?? '').split(' '),
        expiresAt: payload.exp,
        extra: { tid: payload.tid, oid: payload.oid, roles: payload.roles },
      };
    },
  };
}

export const found = {
  notes: [
    { id: 'n-1', title: 'Shopping for the weekend' },
    { id: 'n-2', title: 'Questions to the landlord' },
  ],
};

// addTools registers the tools; both generations have the same way for it.
export function addTools(server, inputSchema, outputSchema) {
  for (const { name, title, description } of settings.tools) {
    server.registerTool(name, { title, description, inputSchema, outputSchema }, async () => ({
      content: [{ type: 'text', text: JSON.stringify(found) }],
      structuredContent: found,
    }));
  }
}

// announce tells the measuring program where the server is.
export function announce(server) {
  console.log(`http://127.0.0.1:${server.address().port}/mcp`);
}
