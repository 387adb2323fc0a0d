// @modelcontextprotocol/sdk, the client of the TypeScript SDK's first major version.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { ElicitRequestSchema, ErrorCode } from '@modelcontextprotocol/sdk/types.js';
import { Provider, answer, consent, perform, url } from './stage.mjs';

const provider = new Provider();
const newClient = () => {
  const client = new Client({ name: 'sdk', version: '1' }, { capabilities: { elicitation: { form: {}, url: {} } } });
  client.setRequestHandler(ElicitRequestSchema, answer);
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
    await transport.finishAuth(provider.back.get('code'));
    return does();
  }
}

await signedIn(async () => {
  if (provider.back) [client, transport] = [newClient(), new StreamableHTTPClientTransport(url, { authProvider: provider })];
  await client.connect(transport);
});

async function call(name, args = {}, onprogress) {
  const once = () => signedIn(() => client.callTool({ name, arguments: args }, undefined, { onprogress }));
  try {
    return await once();
  } catch (error) {
    if (error.code !== ErrorCode.UrlElicitationRequired) throw error;
    for (const { url } of error.elicitations) await consent(url);
    return once();
  }
}

await perform({ protocol: transport.protocolVersion, listTools: () => client.listTools(), call });
await transport.terminateSession();
await client.close();
