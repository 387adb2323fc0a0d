// @modelcontextprotocol/client, the client of the TypeScript SDK's second major version.
import { Client, StreamableHTTPClientTransport, UnauthorizedError, UrlElicitationRequiredError } from '@modelcontextprotocol/client';
import { Provider, answer, consent, perform, url } from './stage.mjs';

const [era] = process.argv.slice(2);
const mode = era === 'modern' ? { pin: '2026-07-28' } : 'legacy';
const provider = new Provider();
const newClient = () => {
  const client = new Client(
    { name: 'client', version: '1' },
    { capabilities: { elicitation: { form: {}, url: {} } }, versionNegotiation: { mode } },
  );
  client.setRequestHandler('elicitation/create', answer);
  return client;
};
let client = newClient();
let transport = new StreamableHTTPClientTransport(url, { authProvider: provider });

/** Does it; if the user must sign in first, signs in and does it again. */
async function signedIn(does) {
  try {
    return await does();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(provider.back);
    return does();
  }
}

await signedIn(async () => {
  if (provider.back) [client, transport] = [newClient(), new StreamableHTTPClientTransport(url, { authProvider: provider })];
  await client.connect(transport);
});

async function call(name, args = {}, onprogress) {
  const once = () => signedIn(() => client.callTool({ name, arguments: args }, { onprogress }));
  try {
    return await once();
  } catch (error) {
    if (!(error instanceof UrlElicitationRequiredError)) throw error;
    for (const { url } of error.elicitations) await consent(url);
    return once();
  }
}

await perform({ protocol: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion, listTools: () => client.listTools(), call });
await transport.terminateSession?.();
await client.close();
